// What a page of another site can try against a sandbox at `base`, say http://127.0.0.1:9000.
//
// Each attack resolves when the browser is done with it, to what the page could read: a text, or
// null. An attack that never ends says so, which a test takes for something read.
const PATIENCE_MS = 10000;
const INVOKE = '/?Action=Invoke&FunctionName=victim';
const DELETE = '/?Action=DeleteFunction&FunctionName=victim';
const REST_INVOKE = '/functions/victim/invocations';
const READS = [
  '/functions', '/functions/victim', '/functions/victim/logs', REST_INVOKE, '/instances',
  '/dead-letters', '/metrics', '/healthz', '/docs', '/openapi.json', '/?Action=ListFunctions',
  '/events', window.download,
];

const later = ms => new Promise(resolve => setTimeout(resolve, ms));
const redirected = (url, code = 302) => `/redirect?code=${code}&to=${encodeURIComponent(url)}`;
const emptied = text => text || null;

async function until(condition) {
  for (;;) {
    const found = condition();
    if (found) return found;
    await later(10);
  }
}

// A tag that loads something by itself. Whether it could is readable.
function tag(name, attributes, parent = document.body) {
  return new Promise(resolve => {
    const element = Object.assign(document.createElement(name), attributes);
    element.onload = element.onloadeddata = () => resolve(`<${name}> has loaded`);
    element.onerror = () => resolve(null);
    parent.append(element);
  });
}

const loaded = attributes => tag('link', attributes, document.head).then(() => null);

async function fetched(url, options) {
  try {
    return emptied(await (await fetch(url, options)).text());
  } catch {
    return null;
  }
}

// What is shown in a frame or a window, once something is.
async function shown(view) {
  try {
    await until(() => view.location.href !== 'about:blank' && view.document.readyState === 'complete');
    return emptied(view.document.documentElement.innerText);
  } catch {
    return null; // it is of another origin
  }
}

function framed(name, attributes) {
  return new Promise(resolve => {
    const element = Object.assign(document.createElement(name), attributes);
    element.onerror = () => resolve(null);
    element.onload = () => resolve(element.contentWindow ? shown(element.contentWindow) : null);
    document.body.append(element);
  });
}

async function opened(url) {
  const view = window.open(url);
  const text = await shown(view);
  view.close();
  return text;
}

let names = 0;
function form(base, path, { fields = {}, method = 'post', enctype, file, popup } = {}) {
  const target = `view-${++names}`;
  const element = Object.assign(document.createElement('form'), { action: base + path, method, target });
  if (enctype) element.enctype = enctype;
  for (const [name, value] of Object.entries(fields)) {
    element.append(Object.assign(document.createElement('input'), { name, value }));
  }
  if (file) {
    const input = Object.assign(document.createElement('input'), { type: 'file', name: 'code' });
    const chosen = new DataTransfer();
    chosen.items.add(new File([file], 'code.zip'));
    input.files = chosen.files;
    element.append(input);
  }
  document.body.append(element);
  if (popup) {
    const view = window.open('', target);
    element.submit();
    return shown(view).finally(() => view.close());
  }
  return new Promise(resolve => {
    const frame = Object.assign(document.createElement('iframe'), { name: target });
    document.body.append(frame);
    frame.onload = () => resolve(shown(frame.contentWindow));
    element.submit();
  });
}

// A request of which the page hears nothing is over when the browser has its timing.
async function timed(address, begin) {
  const url = new URL(address).href;
  const before = performance.getEntriesByName(url).length;
  begin();
  await until(() => performance.getEntriesByName(url).length > before);
  return null;
}

function working(script) {
  return new Promise(resolve => {
    const worker = new Worker(URL.createObjectURL(new Blob([script])));
    worker.onmessage = event => resolve(event.data);
    worker.onerror = () => resolve(null);
  });
}

const post = body => ({ method: 'POST', mode: 'no-cors', body });
const each = (prefix, paths, attack) =>
  Object.fromEntries(paths.map(path => [`${prefix} ${path.split('?expires')[0]}`, base => attack(base + path)]));

const attacks = {
  tags: {
    ...each('image', [INVOKE, DELETE, '/metrics'], url => tag('img', { src: url })),
    ...each('redirected image', [INVOKE], url => tag('img', { src: redirected(url) })),
    ...each('image without referrer', [INVOKE], url => tag('img', { src: url, referrerPolicy: 'no-referrer' })),
    ...each('script', [INVOKE, DELETE, '/functions/victim'], url => tag('script', { src: url })),
    ...each('module', [INVOKE, '/docs/static/swagger-ui-bundle.js'], url => tag('script', { src: url, type: 'module' })),
    ...each('style', [INVOKE, '/functions/victim'], url => tag('link', { rel: 'stylesheet', href: url }, document.head)),
    ...each('video', [INVOKE], url => tag('video', { src: url, preload: 'auto' })),
    // These two end the same way whatever the answer is.
    ...each('preload', [INVOKE], url => loaded({ rel: 'preload', as: 'fetch', href: url })),
    ...each('prefetch', [INVOKE], url => loaded({ rel: 'prefetch', href: url })),
  },
  fetches: {
    ...each('read', READS, url => fetched(url)),
    ...each('opaque read', READS, url => fetched(url, { mode: 'no-cors' })),
    ...each('redirected read', ['/functions/victim'], url => fetched(redirected(url))),
    ...each('fetch', [INVOKE, DELETE], url => fetched(url, { mode: 'no-cors' })),
    ...each('head', [INVOKE, DELETE], url => fetched(url, { method: 'HEAD', mode: 'no-cors' })),
    ...each('post', [INVOKE, DELETE, REST_INVOKE, '/functions/victim/cold'], url => fetched(url, post('{}'))),
    ...each('readable post', [INVOKE, REST_INVOKE], url => fetched(url, { method: 'POST', body: '{}' })),
    ...each('redirected post', [REST_INVOKE], url => fetched(redirected(url, 307), post('{}'))),
    ...each('kept alive', [REST_INVOKE], url => fetched(url, { ...post('{}'), keepalive: true })),
    ...each('delete', ['/functions/victim', '/dead-letters'], url => fetched(url, { method: 'DELETE' })),
    ...each('patch', ['/functions/victim'], url => fetched(url, { method: 'PATCH', body: '{"memory": 128}' })),
    ...each('action in a header', ['/'], url =>
      fetched(url, { method: 'POST', headers: { 'X-TC-Action': 'Invoke' }, body: '{"FunctionName": "victim"}' })),
    ...each('signed', ['/'], url =>
      fetched(url, { method: 'POST', headers: { 'X-TC-Action': 'Invoke', Authorization: 'SKIP' }, body: '{"FunctionName": "victim"}' })),
  },
  forms: {
    'get action': base => form(base, '/', { method: 'get', fields: { Action: 'Invoke', FunctionName: 'victim' } }),
    'post action': base => form(base, '/', { fields: { Action: 'Invoke', FunctionName: 'victim' } }),
    'post deletion': base => form(base, '/', { fields: { Action: 'DeleteFunction', FunctionName: 'victim' } }),
    'action in the address': base => form(base, INVOKE, { enctype: 'text/plain', fields: { '{"a': '":1}' } }),
    'multipart action': base => form(base, '/', { enctype: 'multipart/form-data', fields: { Action: 'Invoke', FunctionName: 'victim' } }),
    'event': base => form(base, REST_INVOKE, { enctype: 'text/plain', fields: { '{"a': '":1}' } }),
    'event to be run later': base => form(base, `${REST_INVOKE}?type=event`, { enctype: 'text/plain' }),
    'cold start': base => form(base, '/functions/victim/cold'),
    'upload': base => form(base, '/functions', { enctype: 'multipart/form-data', fields: { name: 'planted' }, file: window.zip }),
    'redirected post': base => form('', redirected(base + REST_INVOKE, 307)),
    'post in a window': base => form(base, '/', { fields: { Action: 'Invoke', FunctionName: 'victim' }, popup: true }),
  },
  frames: {
    ...each('frame', [INVOKE, DELETE, '/', '/docs', '/functions/victim', '/metrics'], url => framed('iframe', { src: url })),
    ...each('sandboxed frame', ['/docs'], url => framed('iframe', { src: url, sandbox: 'allow-scripts' })),
    ...each('object', [INVOKE, '/docs'], url => framed('object', { data: url })),
    ...each('embed', [INVOKE, '/docs'], url => framed('embed', { src: url })),
  },
  windows: {
    ...each('window', [INVOKE, DELETE, '/functions/victim'], url => opened(url)),
    ...each('redirected window', [INVOKE], url => opened(redirected(url))),
    'link to an action': async base => {
      const target = `view-${++names}`;
      const view = window.open('', target);
      const link = Object.assign(document.createElement('a'), { href: base + INVOKE, target, referrerPolicy: 'no-referrer' });
      document.body.append(link);
      link.click();
      return shown(view).finally(() => view.close());
    },
  },
  beacons: {
    ...each('text', [INVOKE, REST_INVOKE], url => timed(url, () => navigator.sendBeacon(url, '{}'))),
    ...each('form', ['/'], url =>
      timed(url, () => navigator.sendBeacon(url, new URLSearchParams({ Action: 'Invoke', FunctionName: 'victim' })))),
    ...each('upload', ['/functions'], url => {
      const data = new FormData();
      data.append('name', 'planted');
      data.append('code', new File([window.zip], 'code.zip'));
      return timed(url, () => navigator.sendBeacon(url, data));
    }),
  },
  streams: {
    ...each('socket', ['/events', INVOKE, '/functions/victim'], url => new Promise(resolve => {
      const socket = new WebSocket(url.replace('http', 'ws'));
      socket.onopen = () => resolve('a socket has opened');
      socket.onerror = () => resolve(null);
    })),
    ...each('events', ['/events', INVOKE], url => new Promise(resolve => {
      const source = new EventSource(url);
      const done = answer => { source.close(); resolve(answer); };
      source.onopen = () => done('a stream has opened');
      source.onerror = () => done(null);
    })),
    ...each('worker', ['/functions/victim', INVOKE], url =>
      working(`fetch('${url}').then(r => r.text()).then(postMessage, () => postMessage(null))`)),
    ...each('script of a worker', [INVOKE], url => working(`importScripts('${url}'); postMessage('a script has run')`)),
  },
};

function patiently(attack) {
  return Promise.race([attack, later(PATIENCE_MS).then(() => 'it never ended')]);
}

// All attacks of a group, at once: what each one could read.
async function attackAll(group, base) {
  const found = await Promise.all(
    Object.entries(attacks[group]).map(async ([name, attack]) => [name, await patiently(attack(base))]));
  return Object.fromEntries(found);
}
