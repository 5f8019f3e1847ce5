import { setTimeout as pause } from 'node:timers/promises'

/**
 * Generous, for slow and for loaded machines: a test that fails waits this long, one that passes never does. Meteor
 * ends a test after three minutes. TEST_PATIENCE is a factor.
 */
export const PATIENCE_MS = 80_000 * Number(process.env.TEST_PATIENCE ?? 1)

/** Rejects with what was awaited when it does not come. */
export async function within<Value>(promise: Promise<Value>, what: string, patience = PATIENCE_MS): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited ${String(patience)} ms for ${what}`))
    }, patience)
  })
  try {
    return await Promise.race([promise, tooLate])
  } finally {
    clearTimeout(timer)
  }
}

/** Whether something becomes so in time. */
export function comesTrue(isSo: () => boolean | Promise<boolean>, patience: number): Promise<boolean> {
  return eventually('it is so', isSo, patience).then(
    () => true,
    () => false,
  )
}

/** For what sends no signal: the state of the database, and processes that are no children. */
export async function eventually(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  patience = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + patience
  let delay = 10
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited ${String(patience)} ms until ${what}`)
    await pause(delay)
    delay = Math.min(1.2 * delay, 50)
  }
}
