/**
 * TCP between two hosts without iperf3 and ping: a program of its own, run by the demo inside a namespace.
 *
 *   tcp-host.js serve PORT                    echoes a connection that begins with E, swallows one that begins with S
 *   tcp-host.js probe ADDRESS PORT            prints { milliseconds } of the quickest of ten echoes
 *   tcp-host.js send ADDRESS PORT SECONDS     prints { bytes, seconds } of one stream
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

const CONNECT_MS = 1500;
const ECHOES = 10;
const CHUNK_BYTES = 256 * 1024;

function serve(port: number): void {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (first) => {
      if (first[0] === 'E'.charCodeAt(0)) {
        socket.write(first);
        socket.pipe(socket);
      } else {
        // The sender learns how many bytes arrived when it ends its half.
        let bytes = first.length - 1;
        socket.on('data', (chunk) => {
          bytes += chunk.length;
        });
        socket.on('end', () => socket.end(String(bytes)));
      }
    });
  });
  server.listen(port, '0.0.0.0');
}

async function open(address: string, port: number): Promise<Socket> {
  const socket = connect({ host: address, port, noDelay: true });
  const late = setTimeout(() => socket.destroy(new Error('no answer')), CONNECT_MS);
  await once(socket, 'connect');
  clearTimeout(late);
  return socket;
}

async function probe(address: string, port: number): Promise<object> {
  const socket = await open(address, port);
  let best = Number.POSITIVE_INFINITY;
  for (let k = 0; k < ECHOES; k++) {
    const start = process.hrtime.bigint();
    socket.write('E');
    await once(socket, 'data');
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e6);
  }
  socket.destroy();
  return { milliseconds: best };
}

async function send(address: string, port: number, seconds: number): Promise<object> {
  const socket = await open(address, port);
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString();
  });
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const start = performance.now();
  socket.write('S');
  while (performance.now() - start < seconds * 1000) if (!socket.write(chunk)) await once(socket, 'drain');
  socket.end();
  await once(socket, 'close');
  return { bytes: Number(answer), seconds: (performance.now() - start) / 1000 };
}

const [verb, ...rest] = process.argv.slice(2);
try {
  if (verb === 'serve') serve(Number(rest[0]));
  else {
    const [address, port, seconds] = rest as [string, string, string];
    const found = await (verb === 'probe'
      ? probe(address, Number(port))
      : send(address, Number(port), Number(seconds)));
    process.stdout.write(`${JSON.stringify(found)}\n`);
  }
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
