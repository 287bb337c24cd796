// Answers after a time that it draws at random: 2 ms at least, and exponentially distributed above that. What a client measures there is known.
//
//   node delays.js PORT MEAN_MS
import http from 'node:http';

const [port, mean] = process.argv.slice(2).map(Number);

http
  .createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      setTimeout(
        () => {
          response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 2 });
          response.end('{}');
        },
        2 - mean * Math.log(1 - Math.random()),
      );
    });
  })
  .listen(port, '127.0.0.1');
