export const STYLE = `
:root {
  --ground: #f6f7f9; --surface: #fff; --line: #e3e6eb; --text: #1a1f29; --quiet: #626b7a;
  --accent: #1f6f5c; --alarm: #b3261e; --alarm-ground: #fdf0ef;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12151b; --surface: #1b2029; --line: #2b323e; --text: #e8ebf0; --quiet: #98a2b3;
    --accent: #5cc4a7; --alarm: #ff9a90; --alarm-ground: #33201f;
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  max-width: 80rem; margin: 0 auto; padding: clamp(1rem, 4vw, 3rem);
  background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif;
}
h1 { font-size: clamp(1.5rem, 4vw, 2.25rem); font-weight: 650; letter-spacing: -0.02em; line-height: 1.2; }
header p { color: var(--quiet); margin-top: 0.25rem; }
progress {
  appearance: none; display: block; width: 100%; height: 0.375rem; margin: 1.25rem 0;
  border: 0; border-radius: 1rem; overflow: hidden; background: var(--line);
}
progress::-webkit-progress-bar { background: var(--line); }
progress::-webkit-progress-value { background: var(--accent); transition: inline-size 0.4s linear; }
progress::-moz-progress-bar { background: var(--accent); }
.statistics {
  display: grid; grid-template-columns: repeat(3, 1fr) repeat(3, 1.7fr); gap: 1px;
  border: 1px solid var(--line); border-radius: 0.75rem; overflow: hidden; background: var(--line);
}
.statistics > div { padding: 0.9rem 1.1rem; background: var(--surface); }
dt, .note { color: var(--quiet); font-size: 0.8125rem; }
dd { font-size: 1.5rem; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; }
dd.note { font-weight: 400; }
.speed-up dd { color: var(--accent); }
body:has(.gallery .failed) .failures dd { color: var(--alarm); }
.report { margin: 0.75rem 0 1.75rem; color: var(--quiet); font-size: 0.8125rem; font-variant-numeric: tabular-nums; }
.gallery {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(8rem, 28vw), 1fr)); gap: 1.25rem 1rem;
  padding: 0; list-style: none;
}
.gallery li { display: flex; flex-direction: column; min-width: 0; font-size: 0.8125rem; line-height: 1.35; }
.picture {
  aspect-ratio: 4 / 3; margin-bottom: 0.4rem; border-radius: 0.375rem; overflow: hidden;
  background: var(--line); box-shadow: 0 0 0 1px var(--line);
}
.picture img { display: block; width: 100%; height: 100%; object-fit: cover; }
.picture a:focus-visible { outline: 3px solid var(--accent); outline-offset: -3px; display: block; height: 100%; }
.name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.waiting .name { color: var(--quiet); }
.gallery .failed { order: -1; }
.failed .picture {
  padding: 0.4rem 0.5rem; overflow: auto; background: var(--alarm-ground); box-shadow: 0 0 0 1px var(--alarm);
  color: var(--alarm); font-size: 0.6875rem; line-height: 1.3;
}
.failed .picture::before { content: 'failed'; display: block; font-size: 0.8125rem; font-weight: 600; }
@media (max-width: 56rem) { .statistics { grid-template-columns: repeat(3, 1fr); } }
@media (max-width: 34rem) {
  .statistics { grid-template-columns: repeat(6, 1fr); }
  .statistics > div { grid-column: span 2; padding: 0.75rem; }
  .statistics > div:nth-child(n + 4) { grid-column: span 6; }
}
@media (prefers-reduced-motion: no-preference) {
  .picture img { animation: appear 0.4s ease-out; }
  @keyframes appear { from { opacity: 0; } }
}
`
