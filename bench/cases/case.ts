import type { Bench } from '../bench'
import type { Measurement } from '../result'
import type { SubjectName } from '../subjects/programs'

export interface Case {
  readonly name: string
  /** What the case measures, for the document. */
  readonly title: string
  readonly isHigherBetter: boolean
  /** The subjects that do all their runs on one collection, if the document shows these runs one by one. */
  readonly onOneCollection?: readonly SubjectName[]
  readonly subjects: readonly SubjectName[]
  /** The subjects of a quick run, unless `--subjects` chooses others. */
  readonly quickSubjects?: readonly SubjectName[]
  measure(subject: SubjectName, bench: Bench): Promise<Measurement[]>
}

/** Runs one after another. @returns the value of each run */
export async function repeat<Value>(runs: number, run: () => Promise<Value>): Promise<Value[]> {
  const values: Value[] = []
  for (let index = 0; index < runs; index++) values.push(await run())
  return values
}
