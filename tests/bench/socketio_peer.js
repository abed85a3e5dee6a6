// Socket.IO as its documentation has it, WebSocket alone and nothing compressed: one room, told what a publisher says.
const http = require("node:http");
const { Server } = require("socket.io");

const server = http.createServer((request, response) => response.end("ready"));
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });
io.on("connection", (socket) => {
  if (socket.handshake.query.role === "publisher") {
    socket.on("say", (said) => io.to("room").emit("said", said));
  } else {
    socket.join("room");
  }
});
server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
