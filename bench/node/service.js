// What people would otherwise write: users and their last accepted step in a Map, codes checked with otplib, nothing on disk, no lockout.
//
//   node service.js PORT COUNT PERIOD_S       users and secrets are those of bench/server_comparison.py
import { createHash } from 'node:crypto';
import http from 'node:http';
import otplib from 'otplib';

const [port, count, period] = process.argv.slice(2).map(Number);
const totp = otplib.totp.clone({ step: period, window: 1, encoding: 'hex' });
const users = new Map();
for (let i = 0; i < count; i++) {
  users.set(`user${i}@example.org`, { secret: createHash('sha1').update(`bench ${i}`).digest('hex'), last: -1 });
}

function verify({ user, code }) {
  const known = users.get(user);
  if (!known) return 'no_device';
  const delta = totp.checkDelta(code, known.secret);
  if (delta === null) return 'rejected';
  const step = Math.floor(Date.now() / 1000 / period) + delta;
  if (step <= known.last) return 'replayed';
  known.last = step;
  return 'accepted';
}

http
  .createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      const asked = JSON.parse(body);
      const answer = JSON.stringify({ result: verify(asked), user: asked.user });
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(answer) });
      response.end(answer);
    });
  })
  .listen(port, '127.0.0.1');
