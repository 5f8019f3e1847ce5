/**
 * Bundles a server, as the Meteor tool does: into a folder with `main.js` and `programs/server`. Without a bundle, its
 * many modules are compiled one by one, and it takes four times as long to boot.
 */
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { type BuildResult, type Metafile, type OutputFile, buildSync } from 'esbuild'
import { ROOT } from '../setup.js'
import { DRIVERS, bundleDrivers } from './drivers'
import { type Program, readProgram } from './program'

const HERE = import.meta.dirname
const BOOT = path.join(HERE, 'programs/server/boot.ts')

/**
 * The `main.js` of a bundle. It does what Meteor's does (meteor: tools/isobuild/bundler.js, "main.js"). Like Meteor's
 * boot.js, it reads source maps lazily. Node's own support would read them all at each boot: most of a boot's time.
 */
const MAIN = `import path from 'node:path'
import { install } from 'source-map-support'
install({ environment: 'node', handleUncaughtExceptions: false })
process.argv.splice(2, 0, 'program.json')
process.chdir(path.join(import.meta.dirname, 'programs', 'server'))
await import('./programs/server/boot.js')
`

const bundled = new Map<string, string>()

/**
 * @param app the folder of an app; without one, the package's tests
 * @param isTest whether to load the app's tests
 * @returns the path of `main.js`
 */
export function bundle(app?: string, isTest = false): string {
  const key = `${app ?? ''} ${String(isTest)}`
  const main = bundled.get(key) ?? build(readProgram(app, isTest), app)
  bundled.set(key, main)
  return main
}

/** A folder from which Node finds the npm packages of the app, and that Git and Meteor ignore. */
function folderOf(app?: string): string {
  const hasPackages = app !== undefined && existsSync(path.join(app, 'node_modules'))
  return hasPackages ? path.join(app, '.meteor/local/stand-in') : path.join(ROOT, '.cache/stand-in')
}

/** A bundle is named by the hash of its contents, since another process may still run an older one. */
function build(program: Program, app?: string): string {
  const parent = folderOf(app)
  // The source maps hold paths relative to a folder of this depth.
  const { metafile, outputFiles } = compile(program, path.join(parent, 'any/programs/server'))
  checkImports(metafile, program)
  bundleDrivers(parent)
  const hash = createHash('sha256').update(MAIN)
  for (const { path: file, contents } of outputFiles) hash.update(path.basename(file)).update(contents)
  const folder = path.join(parent, hash.digest('hex').slice(0, 16))
  if (existsSync(folder)) utimesSync(folder, new Date(), new Date())
  else write(folder, outputFiles)
  removeUnused(parent)
  return path.join(folder, 'main.js')
}

const DAY_MS = 86_400_000

/** Removes the bundles that were last started more than a day ago. */
function removeUnused(parent: string): void {
  for (const name of readdirSync(parent)) {
    const folder = path.join(parent, name)
    const isOld = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > DAY_MS
    if (name !== DRIVERS && isOld) rmSync(folder, { recursive: true, force: true })
  }
}

function write(folder: string, files: readonly OutputFile[]): void {
  mkdirSync(path.dirname(folder), { recursive: true })
  const unfinished = mkdtempSync(`${folder}-unfinished-`)
  const server = path.join(unfinished, 'programs/server')
  mkdirSync(server, { recursive: true })
  writeFileSync(path.join(unfinished, 'main.js'), MAIN)
  writeFileSync(path.join(unfinished, 'package.json'), '{ "type": "module" }\n')
  for (const { path: file, contents } of files) writeFileSync(path.join(server, path.basename(file)), contents)
  move(unfinished, folder)
}

/** Another process may have built the same bundle meanwhile. */
function move(unfinished: string, folder: string): void {
  try {
    renameSync(unfinished, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
    rmSync(unfinished, { recursive: true })
  }
}

function compile(
  { appId, modules, packages, preload }: Program,
  outdir: string,
): BuildResult<{ metafile: true; write: false }> {
  const packageOf = (name: string) => `${JSON.stringify(name)}: () => import(${JSON.stringify(packages[name])})`
  return buildSync({
    stdin: {
      contents: `
import { start } from ${JSON.stringify(BOOT)}
await start(
  ${JSON.stringify(appId)},
  { ${preload.map(packageOf).join(', ')} },
  [${modules.map(file => `() => import(${JSON.stringify(file)})`).join(', ')}],
)`,
      resolveDir: HERE,
      sourcefile: 'boot.ts',
      loader: 'ts',
    },
    alias: Object.fromEntries(Object.entries(packages).map(([name, file]) => [`meteor/${name}`, file])),
    entryNames: 'boot',
    outdir,
    absWorkingDir: ROOT,
    bundle: true,
    packages: 'external',
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    metafile: true,
    write: false,
    logLevel: 'error',
  })
}

/** Meteor cannot import a package that neither package.js nor the app names. */
function checkImports({ inputs }: Metafile, { scopes }: Program): void {
  for (const [input, { imports }] of Object.entries(inputs)) {
    const file = path.join(ROOT, input)
    const scope = scopes.find(({ prefix }) => file.startsWith(prefix))
    for (const { original = '' } of imports) {
      const name = original.startsWith('meteor/') ? original.slice('meteor/'.length) : undefined
      if (name !== undefined && scope?.uses.includes(name) !== true)
        throw new Error(`Cannot find package "${name}", imported by ${file}. Is it named in package.js?`)
    }
  }
}
