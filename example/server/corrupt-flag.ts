/** The one flag that nobody can render: as a download would leave it that broke off in the middle. */
export const CORRUPT = {
  code: 'corrupt',
  name: 'Corrupt file',
  svg: '<svg xmlns="http://www.w3.org/2000/svg" id="flag-icons-corrupt" viewBox="0 0 640 480"><path fill="#c8102',
} as const
