import type { Flag } from './flags'
import { WIDTHS } from './output'
import { PLACEHOLDER, SCRIPT } from './page-script'
import { STYLE } from './page-style'
import type { Field, State } from './state'

/** The whole page as it is at this moment; the script keeps it up to date. */
export function pageOf(flags: readonly Flag[], state: State): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Flags of the world</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body data-phase="${state.phase}">
<header>
<h1>Flags of the world</h1>
<p>${field(state, 'headline')}</p>
<progress max="1" value="${String(state.progress)}" aria-label="Progress of this phase"></progress>
</header>
<main>
${statistics(state)}
<p class="report">Last report: ${field(state, 'report')}</p>
<ul class="gallery" aria-label="The flags">
${flags.map(flag => card(flag, state)).join('\n')}
</ul>
</main>
<template>${picture(PLACEHOLDER)}</template>
<script>${SCRIPT}</script>
</body>
</html>
`
}

function statistics(state: State): string {
  return `<dl class="statistics">
<div><dt>Done</dt><dd>${field(state, 'done')}</dd></div>
<div class="failures"><dt>Failed</dt><dd>${field(state, 'failed')}</dd></div>
<div><dt>Waiting</dt><dd>${field(state, 'waiting')}</dd></div>
<div><dt>One process</dt><dd>${field(state, 'oneProcess')}</dd><dd class="note">${field(state, 'boot')}</dd></div>
<div><dt>Workers</dt><dd>${field(state, 'workers')}</dd><dd class="note">${field(state, 'rate')}</dd></div>
<div class="speed-up"><dt>Speed-up</dt><dd>${field(state, 'speedUp')}</dd></div>
</dl>`
}

function field({ fields }: State, name: Field): string {
  return `<span data-field="${name}">${escape(fields[name])}</span>`
}

function card({ code, name }: Flag, { done, failed }: State): string {
  const error = failed[code]
  const state = error !== undefined ? 'failed' : done.includes(code) ? 'done' : 'waiting'
  const content = state === 'done' ? picture(code) : escape(error ?? '')
  return (
    `<li id="flag-${code}" class="${state}">` +
    `<div class="picture">${content}</div><span class="name" title="${escape(name)}">${escape(name)}</span></li>`
  )
}

/** The name beside it says what it shows, so it needs no text of its own. */
function picture(code: string): string {
  const [small, medium, large] = [url(WIDTHS[0]), url(WIDTHS[1]), url(WIDTHS[2])]
  return `<a href="${large}"><img src="${small}" srcset="${small} ${String(WIDTHS[0])}w, ${medium} ${String(WIDTHS[1])}w" sizes="9rem" loading="lazy" alt=""></a>`

  function url(width: number): string {
    return `/flags/${String(width)}/${code}.png`
  }
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, character => `&#${String(character.charCodeAt(0))};`)
}
