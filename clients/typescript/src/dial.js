// A WebSocket of the browser, which opens it with the cookies of its session, or a ticket among the subprotocols; why it is refused is not
// told to pages.
export function dial(url, _headers, { opened, heard, closed }, protocols = []) {
  const socket = new WebSocket(url, protocols);
  socket.onopen = opened;
  socket.onmessage = ({ data }) => heard(data);
  socket.onclose = ({ code, reason }) => closed(code, undefined, reason);
  return {
    send: (text) => socket.send(text),
    close() {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
}
