import type { Plan, TaskName } from './log'

/** What the driver has a master do. */
export type Call =
  { readonly method: 'add'; readonly plan: Plan } | { readonly method: 'remove' | 'cancel'; readonly name: TaskName }

export interface Request {
  readonly request: number
  readonly call: Call
}

/** What a master tells the driver. */
export type Reply = { readonly reply: 'started' } | { readonly reply: 'returned'; readonly request: number }
