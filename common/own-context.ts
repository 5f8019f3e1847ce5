import { AsyncResource } from 'node:async_hooks'

const OWN = new AsyncResource('nschwarz:cluster')

/**
 * Calls a function in the async context in which the package was loaded: not in that of a method or job whose call led
 * here. Meteor's environment variables follow the async context, `Meteor.userId()` among them.
 */
export function inOwnContext<Value>(run: () => Value): Value {
  return OWN.runInAsyncScope(run)
}
