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
  const inBaseline = run.phase === 'baseline' ? await countRendered(BASELINE) : 0
  const ended = run.phase === 'baseline' ? inBaseline : run.done.size + run.failed.size
  return {
    phase: run.phase,
    progress: ended / run.flags.length,
    fields: fieldsOf(run, inBaseline, await lastReport()),
    done: [...run.done],
    failed: Object.fromEntries(run.failed),
  }
}

function fieldsOf(run: Run, inBaseline: number, last: Report | undefined): State['fields'] {
  const { baseline, done, failed, waiting, workers, phase } = run
  const hasBegun = phase !== 'baseline'
  return {
    headline: headlineOf(run, inBaseline),
    done: String(done.size),
    failed: String(failed.size),
    waiting: String(waiting),
    speedUp: speedUpOf(run)?.toFixed(2).concat(' ×') ?? NOT_YET,
    oneProcess: baseline === undefined ? NOT_YET : seconds(baseline.milliseconds),
    workers: hasBegun ? seconds(run.milliseconds) : NOT_YET,
    rate: hasBegun ? `${String(workers.size)} workers, ${tasksPerSecond(run).toFixed(1)} flags a second` : NO_NOTE,
    boot: baseline === undefined ? NO_NOTE : `a worker boots in ${seconds(baseline.bootMilliseconds)}`,
    report: last === undefined ? 'none yet' : reportText(last),
  }
}

function headlineOf({ phase, problem }: Run, inBaseline: number): string {
  if (problem !== undefined) return `Broken off: ${problem}`
  switch (phase) {
    case 'baseline':
      return `First, for comparison, one process alone: ${String(inBaseline)} flags rendered`
    case 'rendering':
      return 'Now all workers: a task for each flag'
    case 'ended':
      return 'All tasks have ended'
  }
}

function reportText({ at, pid, rendered, waiting, running, failed }: Report): string {
  return (
    `${at.toISOString().slice(11, 19)} UTC, by worker ${String(pid)}: ${String(rendered)} rendered, ` +
    `${String(running)} running, ${String(waiting)} waiting, ${String(failed)} failed`
  )
}
