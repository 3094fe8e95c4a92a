// What the server is asked.

async function answer(response) {
  const content = response.headers.get('Content-Type')?.startsWith('application/json')
    ? await response.json() : { error: await response.text() };
  if (!response.ok) throw new Error(content.error || `the server answers ${response.status}`);
  return content;
}

/** Ask for an address; with content, send it as JSON. */
export async function call(method, path, content) {
  const body = content === undefined ? undefined : JSON.stringify(content);
  let response;
  try {
    response = await fetch(path, { method, body });
  } catch {
    throw new Error('The server does not answer.');
  }
  return answer(response);
}

/** Send a file; `progress` is called with the part that is sent. */
export function upload(path, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', path);
    request.responseType = 'json';
    request.upload.onprogress = (event) => progress(event.loaded / Math.max(event.total, 1));
    request.onerror = () => reject(new Error('The upload broke off.'));
    request.onload = () => {
      if (request.status === 200) resolve(request.response);
      else reject(new Error(request.response?.error || `the server answers ${request.status}`));
    };
    request.send(file);
  });
}
