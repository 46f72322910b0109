// nio_echo.swift: a SwiftNIO echo server and clients that load it, in one process; says how much went around. Built by tools/leaks nio.
import Foundation
import NIOCore
import NIOPosix

final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }
    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
    func errorCaught(context: ChannelHandlerContext, error: Error) { context.close(promise: nil) }
}

/// Sends a message, waits for it, and sends the next one; closes after `left` of them.
final class Client: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private var left: Int
    private var missing = 0
    private let size: Int
    private(set) var bytes = 0
    init(left: Int, size: Int) {
        self.left = left
        self.size = size
    }
    func channelActive(context: ChannelHandlerContext) { send(context) }
    private func send(_ context: ChannelHandlerContext) {
        guard left > 0 else { return context.close(promise: nil) }
        left -= 1
        missing = size
        var buffer = context.channel.allocator.buffer(capacity: size)
        buffer.writeRepeatingByte(7, count: size)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let count = unwrapInboundIn(data).readableBytes
        bytes += count
        missing -= count
        if missing == 0 { send(context) }
    }
}

let seconds = Double(CommandLine.arguments.dropFirst().first ?? "5") ?? 5
let group = MultiThreadedEventLoopGroup(numberOfThreads: 4)
let server = try ServerBootstrap(group: group)
    .serverChannelOption(.backlog, value: 256)
    .childChannelInitializer { channel in channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Echo()) } }
    .bind(host: "127.0.0.1", port: 0).wait()
let port = server.localAddress!.port!
setvbuf(stdout, nil, _IOLBF, 0)
print("ready")
let end = Date().addingTimeInterval(seconds)
var rounds = 0
while Date() < end {
    let channels = try (0..<32).map { index in
        try ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Client(left: 50, size: 100 + index * 331))
                }
            }
            .connect(host: "127.0.0.1", port: port).wait()
    }
    for channel in channels { try channel.closeFuture.wait() }
    rounds += 1
}
print("\(rounds * 32) connections, \(rounds * 32 * 50) messages")
try server.close().wait()
try group.syncShutdownGracefully()
