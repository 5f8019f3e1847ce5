/** What a case is given: how much to measure, and subjects in processes of their own. */
import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { onDatabaseOfItsOwn } from '../tools/mongod'
import { type CpuTimes, cpuTimes, pidOfDatabase } from './cpu'
import type { Databases } from './databases/databases'
import type { Settings } from './protocol'
import { SubjectProcess } from './subject-process'
import { type SubjectName, programOf, subjectOf } from './subjects/programs'

export type Start = (settings?: Partial<Omit<Settings, 'databaseUrl'>>) => Promise<SubjectProcess>

export class Bench {
  readonly quick: boolean
  /** How many iterations keep a cpu busy for a millisecond. */
  readonly iterationsPerMs: number
  readonly #databases: Databases
  /** The folder for what the processes print. */
  readonly #printed: string
  readonly #running = new Set<SubjectProcess>()
  #isEnding = false

  constructor(options: { quick: boolean; iterationsPerMs: number; databases: Databases; printed: string }) {
    this.quick = options.quick
    this.iterationsPerMs = options.iterationsPerMs
    this.#databases = options.databases
    this.#printed = options.printed
  }

  /** Chooses one of the two: a quick run measures less, and less exactly. */
  size<Value>(full: Value, quick: Value): Value {
    return this.quick ? quick : full
  }

  get isEnding(): boolean {
    return this.#isEnding
  }

  has(subject: SubjectName): boolean {
    return this.#databases.urlOf(subjectOf(subject).database) !== undefined
  }

  /** Lets a measurement start processes of a subject, on a database of their own. Stops them, whatever happens. */
  async withSubject<Value>(subject: SubjectName, measure: (start: Start) => Promise<Value>): Promise<Value> {
    const { database, options } = subjectOf(subject)
    return this.onOwnDatabase(database, async databaseUrl => {
      const started: SubjectProcess[] = []
      try {
        return await measure(async settings => {
          const defaults = { quick: this.quick, workers: 2, runsJobs: true, monitorsCommands: false }
          const url = settings?.monitorsCommands === true ? monitored(databaseUrl) : databaseUrl
          const all = { databaseUrl: url, ...defaults, ...settings, options: { ...options, ...settings?.options } }
          const subjectProcess = await this.start(subject, all)
          started.push(subjectProcess)
          return subjectProcess
        })
      } finally {
        for (const subjectProcess of started) await this.stop(subjectProcess)
      }
    })
  }

  /** @returns a function that reads the CPU times of a subject, of its workers and, if it is MongoDB, its database */
  async cpuMeter(subject: SubjectName, { pid }: SubjectProcess): Promise<() => CpuTimes> {
    const { database } = subjectOf(subject)
    const url = database === 'mongodb' ? this.#databases.urlOf(database) : undefined
    const databasePid = url === undefined ? undefined : await pidOfDatabase(url)
    return () => cpuTimes(pid, databasePid)
  }

  /** For an early end of the bench: no process is started afterwards. */
  killAll(): void {
    this.#isEnding = true
    for (const subjectProcess of this.#running) subjectProcess.kill()
  }

  private async start(subject: SubjectName, settings: Settings): Promise<SubjectProcess> {
    const program = programOf(subject)
    const env = { ...program.env, MONGO_URL: settings.databaseUrl }
    const output = path.join(this.#printed, `${subject}-${randomUUID()}.log`)
    const subjectProcess = await SubjectProcess.start({ ...program, env }, settings, output)
    this.#running.add(subjectProcess)
    await subjectProcess.call('warmUp')
    return subjectProcess
  }

  private async stop(subjectProcess: SubjectProcess): Promise<void> {
    await subjectProcess.stop()
    this.#running.delete(subjectProcess)
  }

  private onOwnDatabase<Value>(
    kind: Parameters<Databases['urlOf']>[0],
    run: (url: string) => Promise<Value>,
  ): Promise<Value> {
    const url = this.#databases.urlOf(kind)
    if (url === undefined) throw new Error(`${kind} is not installed here`)
    return kind === 'mongodb' ? onDatabaseOfItsOwn(url, run) : run(url)
  }
}

/** The MongoDB driver reads the option from the URL, whoever creates the client. */
function monitored(databaseUrl: string): string {
  const url = new URL(databaseUrl)
  url.searchParams.set('monitorCommands', 'true')
  return url.href
}
