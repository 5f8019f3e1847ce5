import { spawn } from 'node:child_process'
import { ROOT } from './setup.js'

/**
 * Runs a command in the project's root.
 *
 * @param echo whether to show its output while it runs
 * @returns its exit code, and all that it wrote
 */
export function execute(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  echo = false,
): Promise<{ code: number; output: string }> {
  const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += String(chunk)
      if (echo) process.stdout.write(chunk)
    })
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      resolve({ code: code ?? 1, output })
    })
  })
}
