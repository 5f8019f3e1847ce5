/** Checks that the methods of `TaskQueue` share. */
import { wrongValue } from '../../common/invalid'
import { isPlainObject } from '../../common/plain'
import { checkText } from '../../common/task'

export function checkId(method: string, _id: unknown): void {
  const field = `${method}._id`
  if (Array.isArray(_id)) throw wrongValue(field, _id, 'a non-empty string', 'Call it once for each task.')
  if (isPlainObject(_id)) throw wrongValue(field, _id, 'a non-empty string', "Use the task's _id.")
  checkText(field, _id)
}

/** Callers may still pass a callback, as in 2.x, or options, as in other queues. */
export function refuseMore(method: string, others: readonly unknown[], which: 'first' | 'second' = 'second'): void {
  const [other] = others
  if (other === undefined) return
  const remedy = which === 'second' ? 'Put it into the first.' : ''
  const hint = typeof other === 'function' ? `${method} returns a promise: await it.` : remedy
  throw wrongValue(`${method}: the ${which} argument`, other, 'none', hint)
}
