import type { Act, Plan } from './log'

/** What the driver asks a server to do. */
export type Call = { readonly method: 'add'; readonly plans: readonly Plan[] } | Act

export interface Request {
  readonly request: number
  readonly call: Call
}

/** What a server answers to the driver. `found`: whether there was something to act on. */
export type Reply =
  { readonly reply: 'started' } | { readonly reply: 'returned'; readonly request: number; readonly found: boolean }
