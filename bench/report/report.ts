import type { Machine } from '../machine'
import type { Result } from '../result'

/** What a run found, as it is written to the JSON file. */
export interface Report {
  readonly machine: Machine
  readonly versions: Readonly<Record<string, string>>
  readonly results: readonly Result[]
}
