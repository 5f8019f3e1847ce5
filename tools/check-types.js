/**
 * Compiles tests/types/registered as applications do: against the declarations that zodern:types makes of the package,
 * strictly with `bundler`, and not strictly with `node`.
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

tsc('-p', '.', '--noEmit', 'false', '--noCheck', '--declaration', '--emitDeclarationOnly', '--outDir', OUT)
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
