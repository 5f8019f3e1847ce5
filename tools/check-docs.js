// Checks README.md, CONTRIBUTING.md, CHANGELOG.md and docs/:
// - A code block below `<!-- tests/examples/… -->` must equal that file, which the tests run. `--write` copies them in.
//   There is no other block of TypeScript.
// - Other code blocks (for mongosh and settings) must parse.
// - A link into this repository must lead to a file, and to a heading of it.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { transformSync } from 'esbuild'
import { ROOT } from './setup.js'

const BLOCK = /<!-- (tests\/examples\/\S+) -->\n\n```(\w+)\n([\s\S]*?)```\n/g

/** How the README, which is also shown without the repository, links to its files. */
const REPOSITORY =
  /^https:\/\/(?:github\.com|raw\.githubusercontent\.com)\/nathanschwarz\/meteor-cluster\/(?:blob\/)?HEAD\//

function pages() {
  const below = readdirSync(path.join(ROOT, 'docs'), { recursive: true }).map(name => path.join('docs', name))
  return ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...below].filter(name => name.endsWith('.md'))
}

function withExamples(text) {
  return text.replace(BLOCK, (_block, example, language) => {
    return `<!-- ${example} -->\n\n\`\`\`${language}\n${readFileSync(path.join(ROOT, example), 'utf8')}\`\`\`\n`
  })
}

/** What is wrong with the code blocks that no test runs. */
function syntaxErrorsIn(text) {
  return [...text.matchAll(/^```(jsx?|json)\n([\s\S]*?)^```$/gm)].flatMap(([, loader, code]) => {
    try {
      transformSync(code, { loader, logLevel: 'silent' })
      return []
    } catch (error) {
      return [error.message]
    }
  })
}

/** Outside of code, which may hold brackets of its own. */
function linksIn(text) {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')
  const inline = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(match => match[1])
  const references = [...prose.matchAll(/^\[[^\]]+\]: (\S+)$/gm)].map(match => match[1])
  return [...inline, ...references]
}

/** As GitHub makes them. */
function anchorsOf(file) {
  const text = readFileSync(file, 'utf8').replace(/^```[\s\S]*?^```$/gm, '')
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(match => match[1])
  return headings.map(heading =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- _]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function isBroken(link, page) {
  const own = REPOSITORY.test(link)
  if (!own && /^[a-z]+:/.test(link)) return false
  const [file = '', anchor] = link.replace(REPOSITORY, '').split('#')
  const target = own ? path.join(ROOT, file) : path.join(ROOT, file === '' ? page : path.join(path.dirname(page), file))
  return !existsSync(target) || (anchor !== undefined && !anchorsOf(target).includes(anchor))
}

/** In the README: `[text][name]` without a line for the name, and a line that nothing refers to. */
function brokenReferences(text) {
  const defined = new Set([...text.matchAll(/^\[([^\]]+)\]: /gm)].map(match => match[1]))
  const used = new Set([...text.matchAll(/\]\s?\[([\w-]+)\]/g)].map(match => match[1]))
  return [...[...used].filter(name => !defined.has(name)), ...[...defined].filter(name => !used.has(name))]
}

for (const page of pages()) {
  const file = path.join(ROOT, page)
  const text = readFileSync(file, 'utf8')
  const right = withExamples(text)
  if (process.argv.includes('--write')) writeFileSync(file, right)
  else if (right !== text || /```ts\n/.test(text.replace(BLOCK, ''))) {
    fail(
      `${page}: each example must equal a file of tests/examples; \`node tools/check-docs.js --write\` copies them in.`,
    )
  }
  for (const error of syntaxErrorsIn(right)) fail(`${page}: a code block does not parse: ${error}`)
  for (const link of linksIn(right)) if (isBroken(link, page)) fail(`${page}: the link ${link} leads nowhere.`)
  for (const name of brokenReferences(right)) fail(`${page}: the reference [${name}] is not defined, or not used.`)
}

function fail(message) {
  console.error(message)
  process.exitCode = 1
}
