import type { Bench } from '../bench'
import type { Measurement } from '../result'
import type { SubjectName } from '../subjects/programs'

export interface Case {
  readonly name: string
  /** One sentence, for the document. */
  readonly title: string
  readonly isHigherBetter: boolean
  /** Its runs are shown one by one, too. */
  readonly isRepeatedOnOneCollection?: boolean
  readonly subjects: readonly SubjectName[]
  measure(subject: SubjectName, bench: Bench): Promise<Measurement[]>
}

/** The value of each run, one after the other. */
export async function repeat<Value>(runs: number, run: () => Promise<Value>): Promise<Value[]> {
  const values: Value[] = []
  for (let index = 0; index < runs; index++) values.push(await run())
  return values
}
