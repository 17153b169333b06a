export async function retry(fn, { times = 3, delay = 250 } = {}) {
  let last;
  for (let i = 0; i < times; i++) {
    try {
      return await fn(i);
    } catch (err) {
      last = err;
      await new Promise((r) => setTimeout(r, delay * 2 ** i));
    }
  }
  throw last;
}
