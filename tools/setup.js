// What every npm command needs before it can import anything else: installs the dependencies of a folder from its lock
// file.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

export const ROOT = path.resolve(import.meta.dirname, '..')

/** Runs a command with its output on the screen. @returns its exit code */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', cwd: ROOT, ...options })
  if (error !== undefined) throw error
  return status ?? 1
}

/** `npm ci`, unless node_modules was made from this very lock file. */
export function install(folder) {
  const lock = createHash('sha256')
    .update(readFileSync(path.join(folder, 'package-lock.json')))
    .digest('hex')
  const mark = path.join(folder, 'node_modules', '.installed-from')
  if (existsSync(mark) && readFileSync(mark, 'utf8') === lock) return
  console.log(`Installing the dependencies of ${path.relative(ROOT, folder) || 'the package'} …`)
  if (run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder }) !== 0) {
    throw new Error(`npm ci failed in ${folder}; see its output above.`)
  }
  mkdirSync(path.dirname(mark), { recursive: true })
  writeFileSync(mark, lock)
}

/** Runs a TypeScript file of tools/ with the arguments of this process. @returns its exit code */
export function runTypeScript(file) {
  return run(process.execPath, typeScriptArgs(file))
}

/**
 * The same, for a file that cleans up after SIGINT and SIGTERM: this process waits for that, and passes a signal on.
 * Ctrl-C reaches all processes of a terminal, so the file gets it twice.
 */
export async function runTypeScriptToItsEnd(file) {
  const child = spawn(process.execPath, typeScriptArgs(file), { stdio: 'inherit', cwd: ROOT })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  const [code] = await once(child, 'exit')
  return code ?? 1
}

function typeScriptArgs(file) {
  return ['--import', import.meta.resolve('tsx'), `tools/${file}`, ...process.argv.slice(2)]
}

export function hasMeteor() {
  return spawnSync('meteor', ['--version'], { stdio: 'ignore' }).status === 0
}
