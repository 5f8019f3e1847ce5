/**
 * Compiles what zodern:types compiles when the package is published. Then compiles tests/types/registered as
 * applications do: against those declarations, strictly with `bundler`, and not strictly with `node`.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const ROOT = path.resolve(import.meta.dirname, '..')
const OUT = path.join(ROOT, '.cache/types')
const TSC = path.join(ROOT, 'node_modules/typescript/bin/tsc')

function tsc(...args) {
  const { status } = spawnSync(process.execPath, [TSC, ...args], { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) process.exit(1)
}

const emit = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--outDir', OUT]
tsc('-p', '.', ...emit, '--incremental', '--tsBuildInfoFile', path.join(OUT, 'package.tsbuildinfo'))
mkdirSync(OUT, { recursive: true })
for (const [moduleResolution, strict] of [
  ['bundler', true],
  ['node', false],
]) {
  const file = path.join(OUT, `tsconfig.${moduleResolution}.json`)
  const compilerOptions = {
    moduleResolution,
    strict,
    typeRoots: [path.join(ROOT, 'node_modules/@types')],
    paths: { 'meteor/nschwarz:cluster': [path.join(OUT, 'server/main.d.ts')] },
  }
  const include = [path.join(ROOT, 'tests/types/registered')]
  writeFileSync(file, JSON.stringify({ extends: path.join(ROOT, 'tsconfig.json'), compilerOptions, include }))
  tsc('-p', file)
}
