/** The examples of the README, each an app that the tests run. */
export const examples: Record<string, () => Promise<unknown>> = {
  first: () => import('./first'),
  scheduled: () => import('./scheduled'),
  recurring: () => import('./recurring'),
  'in-memory': () => import('./in-memory'),
  conversation: () => import('./conversation'),
  entry: () => import('./entry'),
  'web-only': () => import('./web-only'),
  attempts: () => import('./attempts'),
  failures: () => import('./failures'),
  typed: () => import('./typed'),
  progress: () => import('./progress'),
  results: () => import('./results'),
  logs: () => import('./logs'),
}
