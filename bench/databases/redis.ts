import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Server } from './databases'
import { anyPort } from '../../tests/support/ports'
import { ServerProcess, findCommand } from './server-process'

/** @returns undefined if Redis is not installed */
export async function startRedis(): Promise<Server | undefined> {
  const command = findCommand('redis-server')
  if (command === undefined) return undefined
  const port = await anyPort()
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-redis-'))
  // No snapshots: they would slow Redis down now and then.
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
  const server = await ServerProcess.start(command, args, folder, { stopSignal: 'SIGTERM', port })
  const version = /v=(\S+)/.exec(execFileSync(command, ['--version'], { encoding: 'utf8' }))?.[1] ?? ''
  return {
    url: `redis://127.0.0.1:${String(port)}`,
    origin: `Redis ${version} without persistence`,
    stop: () => server.stop(),
  }
}
