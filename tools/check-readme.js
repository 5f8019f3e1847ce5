// Checks that the README shows the files that the tests run: a code block below `<!-- file -->` must equal that file.
// `--write` copies the files into the README.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ROOT } from './setup.js'

const README = path.join(ROOT, 'README.md')
const BLOCK = /<!-- (tests\/examples\/\S+) -->\n\n```ts\n([\s\S]*?)```\n/g

const readme = readFileSync(README, 'utf8')
const shown = [...readme.matchAll(BLOCK)].map(([, file]) => file)
const right = readme.replace(BLOCK, (_block, file) => {
  return `<!-- ${file} -->\n\n\`\`\`ts\n${readFileSync(path.join(ROOT, file), 'utf8')}\`\`\`\n`
})

if (process.argv.includes('--write')) {
  writeFileSync(README, right)
} else if (right !== readme || shown.length === 0 || /```(ts|js)\n/.test(readme.replace(BLOCK, ''))) {
  console.error(
    'README.md: each example must equal a file of tests/examples; `node tools/check-readme.js --write` copies them in.',
  )
  process.exit(1)
}
