import { Meteor } from 'meteor/meteor'
import * as errors from '../common/errors'
import { read } from '../common/errors'

type ErrorClass = abstract new (...parts: never[]) => Error

function isErrorClass(entry: readonly [string, unknown]): entry is [string, ErrorClass] {
  const [, value] = entry
  return typeof value === 'function' && (value.prototype as unknown) instanceof Error
}

/** The package's own error classes, by `name`. */
const OWN: ReadonlyMap<string, ErrorClass> = new Map(
  (Object.entries(errors) as [string, unknown][]).filter(isErrorClass),
)

/**
 * Gives an error that came from another process its class back, if that is one of this package's or `Meteor.Error`. A
 * method that throws a `Meteor.Error` sends it to its client; any other error becomes `Internal server error`.
 */
export function revive(error: Error): Error {
  const ownClass = String(read(error, 'code')).startsWith(errors.OWN_CODE_PREFIX) ? OWN.get(error.name) : undefined
  const itsClass = ownClass ?? (read(error, 'errorType') === 'Meteor.Error' ? Meteor.Error : undefined)
  return itsClass === undefined ? error : (Object.setPrototypeOf(error, itsClass.prototype as object) as Error)
}
