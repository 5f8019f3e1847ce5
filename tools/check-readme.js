// Checks that the README and docs/recipes.md show the files that the tests run: a code block below `<!-- file -->` must
// equal that file. `--write` copies the files in.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ROOT } from './setup.js'

const PAGES = ['README.md', 'docs/recipes.md']
const BLOCK = /<!-- (tests\/examples\/\S+) -->\n\n```ts\n([\s\S]*?)```\n/g

for (const name of PAGES) {
  const file = path.join(ROOT, name)
  const page = readFileSync(file, 'utf8')
  const shown = [...page.matchAll(BLOCK)].length
  const right = page.replace(BLOCK, (_block, example) => {
    return `<!-- ${example} -->\n\n\`\`\`ts\n${readFileSync(path.join(ROOT, example), 'utf8')}\`\`\`\n`
  })
  if (process.argv.includes('--write')) writeFileSync(file, right)
  else if (right !== page || shown === 0 || /```ts\n/.test(page.replace(BLOCK, ''))) {
    console.error(
      `${name}: each example must equal a file of tests/examples; \`node tools/check-readme.js --write\` copies them in.`,
    )
    process.exitCode = 1
  }
}
