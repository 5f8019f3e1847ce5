/** Whether this process is an application's test, and its cluster forks no workers. It imports nothing that is slow. */
import type { ChildProcess } from 'node:child_process'
import type { ResolvedOptions } from '../../common/options'
import type { Definitions } from '../../common/task-map'
import type { Master } from '../master/master'

/** The cluster of this process. */
export interface ClusterUnderTest {
  readonly definitions: Definitions
  readonly master: Master
  readonly options: ResolvedOptions
}

interface TestMode {
  cluster: ClusterUnderTest | undefined
  /** In place of a fork; undefined while no mode is set. */
  fork: (() => ChildProcess) | undefined
  /** Only the helpers start the master. */
  isManual: boolean
}

export const testMode: TestMode = { cluster: undefined, fork: undefined, isManual: false }
