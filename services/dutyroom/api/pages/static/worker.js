// One EventSource for all tabs of a browser: six connections a host are soon used up (HTTP/1.1).

const streams = new Map(); // url -> {source, ports, snapshot}
const EVENTS = ["snapshot", "tick", "beat"];

function open(url) {
  const stream = { source: new EventSource(url), ports: new Set() };
  const tell = (message) => stream.ports.forEach((port) => port.postMessage(message));
  for (const name of EVENTS) stream.source.addEventListener(name, (e) => tell({ event: name, data: e.data }));
  stream.source.onopen = () => tell({ event: "open" });
  stream.source.onerror = () => {
    tell({ event: "error" });
    if (stream.source.readyState === EventSource.CLOSED) {
      setTimeout(() => { if (streams.get(url) === stream) restart(url, stream); }, 2000);
    }
  };
  streams.set(url, stream);
  return stream;
}

function restart(url, old) {
  old.source.close();
  const fresh = open(url);
  old.ports.forEach((port) => fresh.ports.add(port));
}

self.onconnect = (connected) => {
  const port = connected.ports[0];
  port.onmessage = ({ data }) => {
    if (data.bye) {
      streams.forEach((stream, url) => {
        if (stream.ports.delete(port) && stream.ports.size === 0) { stream.source.close(); streams.delete(url); }
      });
      return;
    }
    const known = streams.get(data.url);
    if (!known) open(data.url).ports.add(port);
    else { known.ports.add(port); restart(data.url, known); } // a fresh snapshot for the new page
  };
};
