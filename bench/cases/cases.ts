import { addMany, addOne } from './adds'
import type { Case } from './case'
import { claimCost } from './claim-cost'
import { drain10ms, drain1ms, drain30ms, drainNoop, drainNoop1 } from './drains'
import { latencyOtherProcess, latencyRun, latencySameProcess, latencyWorkerAdded } from './latencies'
import { memoryDrain, memoryLatency, memoryPer100k } from './memory'
import { cpuSpeedup, idleOperations, workerBoot } from './processes'
import { webLatency } from './web-latency'

/** In the order in which they are measured, and shown. */
export const CASES: readonly Case[] = [
  addOne,
  addMany,
  drainNoop,
  drainNoop1,
  drain1ms,
  drain10ms,
  drain30ms,
  latencySameProcess,
  latencyWorkerAdded,
  latencyOtherProcess,
  latencyRun,
  memoryDrain,
  memoryLatency,
  memoryPer100k,
  claimCost,
  webLatency,
  cpuSpeedup,
  idleOperations,
  workerBoot,
]
