import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Server } from './databases'
import { anyPort } from '../../tests/support/ports'
import { ServerProcess, findCommand } from './server-process'

/** Debian's packages install here what is not on the PATH. */
const DEBIAN_FOLDER = '/usr/lib/postgresql'

/** @returns undefined if PostgreSQL is not installed */
export async function startPostgres(): Promise<Server | undefined> {
  const versions = existsSync(DEBIAN_FOLDER) ? readdirSync(DEBIAN_FOLDER) : []
  const folders = versions.map(version => path.join(DEBIAN_FOLDER, version, 'bin')).reverse()
  const [postgres, initdb] = [findCommand('postgres', folders), findCommand('initdb', folders)]
  if (postgres === undefined || initdb === undefined) return undefined
  const user = unprivileged()
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-postgres-'))
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  const port = await anyPort()
  execFileSync(initdb, ['-D', folder, '-U', 'postgres', '--auth', 'trust'], { ...user, cwd: folder, stdio: 'ignore' })
  const args = ['-D', folder, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=']
  const server = await ServerProcess.start(postgres, args, folder, { ...user, cwd: folder, stopSignal: 'SIGINT', port })
  const version = /\d[\d.]*/.exec(execFileSync(postgres, ['--version'], { encoding: 'utf8' }))?.[0] ?? ''
  return {
    url: `postgresql://postgres@127.0.0.1:${String(port)}/postgres`,
    origin: `PostgreSQL ${version}`,
    stop: () => server.stop(),
  }
}

/** The user to run PostgreSQL as, which refuses to run as root. */
function unprivileged(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const [uid = NaN, gid = NaN] = ['-u', '-g'].map(flag =>
    Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' })),
  )
  return { uid, gid }
}
