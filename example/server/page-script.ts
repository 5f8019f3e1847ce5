/** Stands for the code of a flag in the page's template of a picture. */
export const PLACEHOLDER = 'CODE'

/** Runs in the browser: asks for the state, and writes it into the page. */
export const SCRIPT = `
const template = document.querySelector('template').innerHTML

/** @returns where the card's picture belongs, or undefined when it shows this state already */
function pictureOf(code, state) {
  const card = document.getElementById('flag-' + code)
  if (card.className === state) return undefined
  card.className = state
  return card.querySelector('.picture')
}

function showDone(code) {
  const picture = pictureOf(code, 'done')
  if (picture !== undefined) picture.innerHTML = template.replaceAll('${PLACEHOLDER}', code)
}

function showFailed([code, error]) {
  const picture = pictureOf(code, 'failed')
  if (picture !== undefined) picture.textContent = error
}

async function update() {
  const response = await fetch('/state.json')
  const { phase, progress, fields, done, failed } = await response.json()
  document.body.dataset.phase = phase
  document.querySelector('progress').value = progress
  for (const [name, text] of Object.entries(fields)) {
    document.querySelector('[data-field=' + name + ']').textContent = text
  }
  done.forEach(showDone)
  Object.entries(failed).forEach(showFailed)
}

// The app may be away for a moment, when it restarts: the page then stays as it is.
async function follow() {
  await update().catch(() => undefined)
  setTimeout(follow, document.body.dataset.phase === 'ended' ? 3000 : 400)
}

follow()
`
