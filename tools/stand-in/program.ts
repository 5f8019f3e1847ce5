/**
 * Works out what to load, from the same files that Meteor reads: `package.js`, and an app's `.meteor/packages` and
 * `package.json`. As in Meteor, a package that package.js does not name cannot be imported.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { runInNewContext } from 'node:vm'
import { ROOT } from '../setup.js'

export interface Program {
  /** What Meteor sets as `APP_ID`. */
  readonly appId: string
  /** The names of the packages that are loaded before the app, in their order. */
  readonly preload: readonly string[]
  /** The main modules of the app or the test package, loaded in this order. */
  readonly modules: readonly string[]
  /** The main module of each package, by name. */
  readonly packages: Readonly<Record<string, string>>
  /** Which packages the files below a prefix may import. The first match counts. */
  readonly scopes: readonly { readonly prefix: string; readonly uses: readonly string[] }[]
}

interface Section {
  readonly uses: string[]
  mainModule: string | undefined
}

interface PackageDescription {
  readonly name: string
  readonly onUse: Section
  readonly onTest: Section
}

const DRIVER = path.join(ROOT, 'tools/test-driver/driver.ts')

/** Packages that do something at build time only. */
const BUILD_ONLY = ['typescript', 'ecmascript', 'zodern:types', 'shell-server', 'meteor-base']

/** @param app the folder of an app; without one, the package's tests. @param isTest whether to load the app's tests */
export function readProgram(app?: string, isTest = false): Program {
  const description = readPackageDescription(path.join(ROOT, 'package.js'))
  if (app === undefined) return testProgram(description)
  return isTest ? appTestProgram(description, app) : appProgram(description, app)
}

function testProgram(description: PackageDescription): Program {
  const main = path.join(ROOT, required(description.onTest.mainModule))
  return {
    ...shared(description, description.onTest.uses),
    appId: 'tests',
    modules: [main, DRIVER],
    scopes: [
      { prefix: path.join(ROOT, 'tests/'), uses: withImplied(description.onTest.uses) },
      { prefix: DRIVER, uses: ['tinytest', 'webapp'] },
      packageScope(description),
    ],
  }
}

function appProgram(description: PackageDescription, app: string): Program {
  return programOf(description, app, readLines(path.join(app, '.meteor/packages')), [mainOf(app, 'mainModule')])
}

/** As `meteor test --driver-package local:cluster-test-driver --extra-packages tinytest`. */
function appTestProgram(description: PackageDescription, app: string): Program {
  const uses = [...readLines(path.join(app, '.meteor/packages')), 'tinytest']
  const program = programOf(description, app, uses, [mainOf(app, 'testModule'), DRIVER])
  return { ...program, scopes: [{ prefix: DRIVER, uses: ['tinytest', 'webapp'] }, ...program.scopes] }
}

function programOf(
  description: PackageDescription,
  app: string,
  uses: readonly string[],
  modules: readonly string[],
): Program {
  return {
    ...shared(description, uses),
    appId: appIdOf(app),
    modules,
    scopes: [{ prefix: `${app}/`, uses: withImplied(uses) }, packageScope(description)],
  }
}

/** Meteor writes a random id into an app that has none. */
function appIdOf(app: string): string {
  const file = path.join(app, '.meteor/.id')
  return existsSync(file) ? readLines(file).join() : randomUUID()
}

function mainOf(app: string, kind: 'mainModule' | 'testModule'): string {
  const file = readFileSync(path.join(app, 'package.json'), 'utf8')
  const { meteor } = JSON.parse(file) as { meteor: Record<typeof kind, { server: string }> }
  return path.join(app, meteor[kind].server)
}

function shared(description: PackageDescription, uses: readonly string[]): Pick<Program, 'packages' | 'preload'> {
  const own = path.join(ROOT, required(description.onUse.mainModule))
  const used = new Set(withImplied([...description.onUse.uses, ...uses]))
  const others = [...used].filter(name => !BUILD_ONLY.includes(name) && name !== description.name)
  return {
    packages: { ...Object.fromEntries(others.map(name => [name, moduleOf(name)])), [description.name]: own },
    preload: [...others, description.name],
  }
}

/** Every package and app has these. */
function withImplied(uses: readonly string[]): string[] {
  return ['meteor', ...uses]
}

function packageScope({ onUse }: PackageDescription): Program['scopes'][number] {
  return { prefix: `${ROOT}/`, uses: withImplied(onUse.uses) }
}

function moduleOf(name: string): string {
  const file = path.join(import.meta.dirname, 'programs/server/packages', `${name}.ts`)
  if (!existsSync(file)) throw new Error(`unknown package: ${name} (the stand-in for Meteor has no such package)`)
  return file
}

function readPackageDescription(file: string): PackageDescription {
  const description = { name: '', onUse: newSection(), onTest: newSection() }
  const Package = {
    describe: ({ name }: { name: string }) => {
      description.name = name
    },
    onUse: (body: (api: object) => void) => {
      body(apiFor(description.onUse))
    },
    onTest: (body: (api: object) => void) => {
      body(apiFor(description.onTest))
    },
  }
  runInNewContext(readFileSync(file, 'utf8'), { Package, Npm: { depends: () => undefined } }, { filename: file })
  return description
}

function apiFor(section: Section): object {
  return {
    versionsFrom: () => undefined,
    use: (names: string | string[], _where?: string, options?: { weak?: boolean }) => {
      // A weak dependency is loaded only if another package uses it, and cannot be imported.
      if (options?.weak !== true) section.uses.push(...[names].flat().map(name => withoutVersion(name)))
    },
    mainModule: (file: string, where?: string) => {
      if (where !== 'client') section.mainModule = file
    },
  }
}

function newSection(): Section {
  return { uses: [], mainModule: undefined }
}

function withoutVersion(name: string): string {
  return name.replace(/@[^@]*$/, '')
}

function readLines(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map(line => withoutVersion(line.replace(/#.*/, '').trim()))
    .filter(line => line !== '')
}

function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('package.js names no main module for the server')
  return value
}
