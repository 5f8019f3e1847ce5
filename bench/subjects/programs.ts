/** The subjects, and how to start the process of each. */
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { serverEnvironment } from '../../tests/support/server-environment'
import { standIn } from '../../tools/stand-in/start'
import { MODULE_VARIABLE, type Settings } from '../protocol'
import type { Program } from '../subject-process'

export type DatabaseKind = 'mongodb' | 'redis' | 'postgresql'

interface Subject {
  /** Relative to the bench's folder; undefined for the server with the cluster. */
  readonly module?: string
  readonly database: DatabaseKind
  readonly options?: Settings['options']
  /** What it is, for the document. */
  readonly description: string
}

const BENCH = path.resolve(import.meta.dirname, '..')

export const SUBJECTS = {
  cluster: {
    database: 'mongodb',
    description: 'this package with default settings: a server on the stand-in for Meteor, and its forked workers',
  },
  'cluster-quiet': {
    database: 'mongodb',
    options: { logs: 'error' },
    description: "cluster with `logs: 'error'`",
  },
  floor: {
    module: 'subjects/floor/module.ts',
    database: 'mongodb',
    description:
      "the same work without a queue: the bare MongoDB driver, and bare `child_process` with the package's codec",
  },
  'floor-one-by-one': {
    module: 'subjects/floor/one-by-one.ts',
    database: 'mongodb',
    description: 'the bare driver, claiming and deleting one task at a time',
  },
  agenda: {
    module: 'peers/agenda.ts',
    database: 'mongodb',
    description: 'agenda on @agendajs/mongo-backend, with change streams; jobs run in its own process',
  },
  'mongo-jobs': {
    module: 'peers/mongo-jobs.ts',
    database: 'mongodb',
    description: '@clipboard-health/mongo-jobs, with change streams; jobs run in its own process',
  },
  tinypool: {
    module: 'peers/tinypool.ts',
    database: 'mongodb',
    description: 'a pool of child processes, without a database',
  },
  workerpool: {
    module: 'peers/workerpool.ts',
    database: 'mongodb',
    description: 'a pool of child processes, without a database',
  },
  piscina: { module: 'peers/piscina.ts', database: 'mongodb', description: 'a pool of threads, without a database' },
  bullmq: {
    module: 'peers/bullmq.ts',
    database: 'redis',
    description: 'on another database, Redis; jobs run in its own process',
  },
  'bullmq-sandboxed': {
    module: 'peers/bullmq-sandboxed.ts',
    database: 'redis',
    description: 'on another database, Redis; jobs run in child processes',
  },
  'graphile-worker': {
    module: 'peers/graphile-worker.ts',
    database: 'postgresql',
    description: 'on another database, PostgreSQL; jobs run in its own process',
  },
} as const satisfies Record<string, Subject>

export type SubjectName = keyof typeof SUBJECTS

export function subjectOf(name: SubjectName): Subject {
  return SUBJECTS[name]
}

export function programOf(name: SubjectName): Program {
  const { module } = subjectOf(name)
  return module === undefined ? server() : host(path.join(BENCH, module))
}

function server(): Program {
  const { args, env } = standIn(path.join(BENCH, 'app'))
  return {
    main: args.at(-1) ?? '',
    execArgv: args.slice(0, -1),
    env: { ...serverEnvironment(), ...env, NODE_ENV: 'production' },
  }
}

function host(file: string): Program {
  return {
    main: path.join(BENCH, 'host.ts'),
    execArgv: ['--import', import.meta.resolve('tsx')],
    env: { ...process.env, NODE_ENV: 'production', [MODULE_VARIABLE]: pathToFileURL(file).href },
  }
}
