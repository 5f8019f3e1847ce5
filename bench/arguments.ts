import { parseArgs } from 'node:util'
import { CASES } from './cases/cases'
import { SUBJECTS, type SubjectName } from './subjects/programs'

export interface Arguments {
  readonly quick: boolean
  readonly cases: readonly string[]
  /** Undefined: those that each case has by default. */
  readonly subjects: readonly SubjectName[] | undefined
  /** The file to write the results to. */
  readonly json: string | undefined
  /** Whether to write docs/benchmarks.md. */
  readonly docs: boolean
}

/** @throws Error that says what is allowed */
export function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      docs: { type: 'boolean', default: false },
      only: { type: 'string' },
      subjects: { type: 'string' },
      json: { type: 'string' },
    },
  })
  const { quick, docs, only, subjects, json } = values
  return {
    quick,
    json,
    cases: choose(
      '--only',
      only,
      CASES.map(({ name }) => name),
    ),
    subjects:
      subjects === undefined ? undefined : (choose('--subjects', subjects, Object.keys(SUBJECTS)) as SubjectName[]),
    // By default, only a whole run is written to the document.
    docs: docs || (!quick && only === undefined && subjects === undefined),
  }
}

function choose(flag: string, given: string | undefined, all: readonly string[]): readonly string[] {
  if (given === undefined) return all
  const names = given.split(',')
  const unknown = names.find(name => !all.includes(name))
  if (unknown !== undefined) throw new Error(`${flag}: ${unknown || 'nothing'}; allowed: ${all.join(', ')}.`)
  return all.filter(name => names.includes(name))
}
