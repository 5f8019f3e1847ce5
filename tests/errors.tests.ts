import { Tinytest } from 'meteor/tinytest'
import { InvalidArgumentError, toError } from '../common/errors'
import { errorFromWire, errorToWire, fromWire, toWire } from '../common/pipe/wire'

const overTheWire = (error: Error) => errorFromWire(structuredClone(errorToWire(error)))

Tinytest.add('errors - name, message, stack, code, fields and cause cross the wire', test => {
  const original = Object.assign(new TypeError('wrong', { cause: new RangeError('inner') }), {
    code: 'E_WRONG',
    details: { at: new Date(0) },
  })
  original.name = 'CustomError'
  const copy = overTheWire(original) as Error & { code: string; details: unknown }
  test.instanceOf(copy, Error)
  test.equal([copy.name, copy.message, copy.stack], ['CustomError', 'wrong', original.stack])
  test.equal([copy.code, copy.details], ['E_WRONG', { at: new Date(0) }])
  test.instanceOf(copy.cause, Error)
  test.equal((copy.cause as Error).message, 'inner')
  test.equal((copy.cause as Error).name, 'RangeError')
})

Tinytest.add('errors - the package names itself, the field and a code in its own', test => {
  const error = new InvalidArgumentError('addTask.priority', 'high', 'an integer')
  test.equal(error.message, 'nschwarz:cluster: addTask.priority is "high" (string); allowed: an integer.')
  test.equal(
    [error.name, error.code, error.field],
    ['InvalidArgumentError', 'ERR_CLUSTER_INVALID_ARGUMENT', 'addTask.priority'],
  )
  test.equal(overTheWire(error).name, 'InvalidArgumentError')
})

Tinytest.add('errors - a chain of causes that runs in a circle ends', test => {
  const error: Error = new Error('circular')
  error.cause = error
  test.equal((overTheWire(error).cause as Error).message, 'circular')
})

Tinytest.add('errors - fields that cannot be cloned are left behind', test => {
  const error = Object.assign(new Error('with a function'), { callback: () => 0, code: 7 })
  test.equal(Object.keys(overTheWire(error)), ['code'])
})

Tinytest.add('errors - what is thrown may be anything, and becomes an error', test => {
  test.equal(toError('only a text').message, 'only a text')
  test.equal(toError(undefined).message, 'undefined')
  test.equal(toError({ status: 5 }).cause, { status: 5 })
})

Tinytest.add('errors - values other than errors travel as they are', test => {
  test.equal(fromWire(toWire({ a: [1, new Date(1)] })), { a: [1, new Date(1)] })
  test.isUndefined(fromWire(toWire(undefined)))
})
