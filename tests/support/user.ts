import { AsyncLocalStorage } from 'node:async_hooks'

/** Who calls, as Meteor's environment variables say it: they follow the async context. */
export const user = new AsyncLocalStorage<string>()

export function currentUser(): string {
  return user.getStore() ?? 'nobody'
}
