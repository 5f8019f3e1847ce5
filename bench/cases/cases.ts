import type { Case } from './case'
import { drain1ms, drainNoop, drainNoop1 } from './drains'
import { latencyOtherProcess, latencySameProcess, latencyWorkerAdded } from './latencies'
import { memoryDrain, memoryLatency, memoryPer100k } from './memory'

/** In the order in which they are measured, and shown. */
export const CASES: readonly Case[] = [
  drainNoop,
  drainNoop1,
  drain1ms,
  latencySameProcess,
  latencyWorkerAdded,
  latencyOtherProcess,
  memoryDrain,
  memoryLatency,
  memoryPer100k,
]
