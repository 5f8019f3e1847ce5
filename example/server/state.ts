/** What the page shows, in words: the server writes it into the page, and the page asks for it again and again. */
import { BASELINE, countRendered } from './output'
import { type Report, lastReport } from './report'
import type { Phase, Run } from './run'
import { seconds, speedUpOf, tasksPerSecond } from './summary'

export interface State {
  readonly phase: Phase
  /** From 0 to 1, of the present phase. */
  readonly progress: number
  /** The text for each element of the page that has this name in `data-field`. */
  readonly fields: Readonly<Record<Field, string>>
  readonly done: readonly string[]
  readonly failed: Readonly<Record<string, string>>
}

export type Field =
  'headline' | 'done' | 'failed' | 'waiting' | 'speedUp' | 'oneProcess' | 'workers' | 'rate' | 'boot' | 'report'

const NOT_YET = '–'
/** Takes the place of a note that is still to come. */
const NO_NOTE = '\u00a0'

export async function stateOf(run: Run): Promise<State> {
  const inBaseline = run.phase === 'rendering' ? 0 : await countRendered(BASELINE)
  const rendered = run.phase === 'rendering' ? run.done.size + run.failed.size : inBaseline
  return {
    phase: run.phase,
    progress: run.phase === 'ended' ? 1 : rendered / run.flags.length,
    fields: fieldsOf(run, inBaseline, await lastReport()),
    done: [...run.done],
    failed: Object.fromEntries(run.failed),
  }
}

function fieldsOf(run: Run, inBaseline: number, last: Report | undefined): State['fields'] {
  const { baseline, bootMilliseconds, done, failed, waiting, workers } = run
  const hasBegun = bootMilliseconds !== undefined
  return {
    headline: headlineOf(run, inBaseline),
    done: String(done.size),
    failed: String(failed.size),
    waiting: String(waiting),
    speedUp: speedUpOf(run)?.toFixed(2).concat(' ×') ?? NOT_YET,
    oneProcess: baseline === undefined ? NOT_YET : seconds(baseline.milliseconds),
    workers: hasBegun ? seconds(run.milliseconds) : NOT_YET,
    rate: hasBegun ? `${String(workers.size)} workers, ${tasksPerSecond(run).toFixed(1)} flags a second` : NO_NOTE,
    boot: hasBegun ? `a worker boots in ${seconds(bootMilliseconds)}` : NO_NOTE,
    report: last === undefined ? 'none yet' : reportText(last),
  }
}

function headlineOf({ phase, problem }: Run, inBaseline: number): string {
  if (problem !== undefined) return `Broken off: ${problem}`
  switch (phase) {
    case 'rendering':
      return 'All workers: a task for each flag'
    case 'baseline':
      return `For comparison, one process alone: ${String(inBaseline)} flags rendered`
    case 'ended':
      return 'All tasks are finished'
  }
}

function reportText({ at, pid, rendered, waiting, running, failed }: Report): string {
  return (
    `${at.toISOString().slice(11, 19)} UTC, by worker ${String(pid)}: ${String(rendered)} rendered, ` +
    `${String(running)} running, ${String(waiting)} waiting, ${String(failed)} failed`
  )
}
