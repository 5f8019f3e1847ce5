import type { Bench } from '../bench'
import type { Measurement } from '../result'
import type { SubjectName } from '../subjects/programs'

export interface Case {
  readonly name: string
  /** One sentence, for the document. */
  readonly title: string
  readonly isHigherBetter: boolean
  /** Those that do all their runs on one collection, where that is of interest. */
  readonly onOneCollection?: readonly SubjectName[]
  readonly subjects: readonly SubjectName[]
  /** Those of a quick run, where no others are asked for. */
  readonly quickSubjects?: readonly SubjectName[]
  measure(subject: SubjectName, bench: Bench): Promise<Measurement[]>
}

/** The value of each run, one after the other. */
export async function repeat<Value>(runs: number, run: () => Promise<Value>): Promise<Value[]> {
  const values: Value[] = []
  for (let index = 0; index < runs; index++) values.push(await run())
  return values
}
