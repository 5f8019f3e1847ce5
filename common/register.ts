/** The types of an application's tasks, by which `addTask`, `run` and listeners are checked. Types only. */
import type { NewTask } from './task'

/**
 * Declare your task map here, and `addTask`, `addTasks`, `run` and listeners are checked by it: `taskType`, `data` and
 * the result. The map is a plain object `as const`:
 *
 * ```ts
 * export const taskMap = { sum: (job: Job<{ numbers: number[] }>) => … } as const
 * declare module 'meteor/nschwarz:cluster' {
 *   interface Register { tasks: typeof taskMap }
 * }
 * ```
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- it is filled in by the application
export interface Register {}

// eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type -- no type is registered
type Registered = Register extends { readonly tasks: infer Tasks } ? Tasks : Record<never, never>

/** The names of the registered tasks; never if there are none. */
export type RegisteredType = Extract<keyof Registered, string>

/**
 * A `taskType` of the plain type `string` is accepted, for helpers and for the tasks of other apps. A literal must be
 * registered, if any type is.
 */
export type AcceptedType<Type extends string> = [RegisteredType] extends [never]
  ? Type
  : string extends Type
    ? Type
    : Type extends RegisteredType
      ? Type
      : RegisteredType

type FunctionOf<Entry> = Entry extends { readonly run: infer Run } ? Run : Entry

/**
 * What a function takes as `job.data`; anything if it takes no job. To compare with `void`, the compiler need not know
 * the result of the function, which may depend on the very call that is checked.
 */
type DataOfFunction<Run> = Run extends (...parameters: infer Parameters) => void
  ? Parameters extends readonly [{ readonly data: infer Data }, ...unknown[]]
    ? Data
    : unknown
  : unknown

/** What is given to `addTask`: with a schema its input, which the schema may turn into something else. */
type InputOfEntry<Entry> = Entry extends { readonly schema: StandardSchema<infer Input, infer _Output> }
  ? Input
  : DataOfFunction<FunctionOf<Entry>>

/** The data of a registered type; `Fallback` of any other. */
export type DataOf<Type extends string, Fallback = unknown> = Type extends RegisteredType
  ? InputOfEntry<Registered[Type]>
  : Fallback

/** The result of a registered type; `Fallback` of any other. */
export type ResultOf<Type extends string, Fallback = unknown> = Type extends RegisteredType
  ? FunctionOf<Registered[Type]> extends (...parameters: never) => infer Result
    ? Awaited<Result>
    : Fallback
  : Fallback

/** A new task whose `taskType` and `data` fit together. */
export type NewTaskOf<Type extends string, Data> = NewTask<DataOf<Type, Data>> & {
  readonly taskType: AcceptedType<Type>
}

/** A schema that follows https://standardschema.dev, as those of Zod, Valibot and ArkType do. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export type SchemaResult<Output = unknown> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}
