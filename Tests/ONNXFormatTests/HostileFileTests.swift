import Foundation
import ONNXFormat
import Testing

@Suite struct HostileFileTests {
    @Test func everyMalformedFileGetsItsError() throws {
        let table = try Fixture.json("hostile.json", as: [String: String].self)
        #expect(table.count > 50)
        for (name, mention) in table {
            let error = loadError(path: Fixture.path("hostile/\(name).onnx"))
            #expect(error?.kind == .malformed, "\(name)")
            #expect(error?.description.contains(mention) == true, "\(name): \(error?.description ?? "loaded")")
            #expect(error?.description.contains("\n") == false)
        }
    }

    @Test func everyTruncationIsRefusedOrSound() throws {
        let bytes = try Fixture.bytes("everything.onnx")
        var refused = 0
        for length in 0..<bytes.count where loadError(Array(bytes[..<length])) != nil { refused += 1 }
        // Cut between two fields that follow the graph, the rest is a model.
        #expect(refused > bytes.count - 16)
    }

    /// 40,000 files with up to 8 bytes changed, removed or repeated: none may crash, and what loads must save.
    @Test(arguments: ["everything.onnx", "dtypes.onnx"])
    func damagedBytes(_ name: String) throws {
        let original = try Fixture.bytes(name)
        var generator = SplitMix(state: 7)
        var loaded = 0
        for _ in 0..<20_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                case 1: bytes[index] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator)!
                case 2: bytes.remove(at: index)
                default: bytes.insert(bytes[index], at: index)
                }
            }
            guard let model = try? ONNXModel(serialized: bytes) else { continue }
            loaded += 1
            for tensor in model.graph.initializers { _ = try? (tensor.bytes(), tensor.doubles(), tensor.strings()) }
            for node in model.graph.nodes { _ = node.attributes.map(\.value) }
            _ = try model.serialized()
        }
        #expect(loaded > 0)
    }

    @Test func randomBytes() {
        var generator = SplitMix(state: 3)
        for length in 1..<3_000 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(loadError(bytes) != nil)
        }
    }

    /// Two bytes each on the wire, but about 200 in memory.
    @Test func emptyMessagesDoNotFillMemory() {
        let count = 8 << 20
        var bytes: [UInt8] = [0x3A]
        var length = 2 * count
        while length > 127 {
            bytes.append(UInt8(length & 127 | 128))
            length >>= 7
        }
        bytes.append(UInt8(length))
        for _ in 0..<count { bytes += [0x0A, 0x00] }
        let error = loadError(bytes)
        #expect(error?.kind == .malformed)
        #expect(error?.message.contains("out of proportion") == true)
    }

    @Test func missingAndSpecialFiles() {
        #expect(loadError(path: "/nonexistent/model.onnx")?.kind == .missing)
        #expect(loadError(path: "")?.kind == .missing)
        #expect(loadError(path: NSTemporaryDirectory())?.kind == .unreadable)
        #expect(loadError(path: "/dev/zero")?.kind == .unreadable)
    }

    @Test(arguments: [
        ("/etc/passwd", nil, nil, "absolute"), ("../secret", nil, nil, "inside the model's folder"),
        ("a/../../secret", nil, nil, "inside the model's folder"), (".", nil, nil, "inside the model's folder"),
        ("", nil, nil, "no location"), ("absent", nil, nil, "No such file"), ("symlink", nil, nil, "symbolic link"),
        ("linked/data", nil, nil, "cannot open"), ("hardlink", nil, nil, "hard links"),
        ("folder", nil, nil, "not a regular file"), ("fifo", nil, nil, "not a regular file"),
        ("data", "9", nil, "past the end"), ("data", "9223372036854775807", nil, "past the end"),
        ("data", "-1", nil, "not a size"), ("data", "0x1", nil, "not a size"), ("data", "+1", nil, "not a size"),
        ("data", "99999999999999999999", nil, "not a size"), ("data", "0", "4", "length 4"),
        ("data", "0", "", "not a size"), ("short", nil, nil, "past the end"), ("empty", nil, nil, "past the end"),
        ("data", "8", "8", ""),
    ])
    func externalPaths(_ location: String, _ offset: String?, _ length: String?, _ mention: String) throws {
        try Fixture.withCopy(of: nil) { root in
            let files = FileManager.default
            let folder = "\(root)/model"
            try files.createDirectory(atPath: "\(folder)/folder", withIntermediateDirectories: true)
            try Fixture.write(Array(repeating: 7, count: 64), to: "\(root)/secret")
            try Fixture.write(Array(repeating: 1, count: 16), to: "\(folder)/data")
            try Fixture.write([1, 2, 3], to: "\(folder)/short")
            try Fixture.write([], to: "\(folder)/empty")
            try files.createSymbolicLink(atPath: "\(folder)/symlink", withDestinationPath: "../secret")
            try files.createSymbolicLink(atPath: "\(folder)/linked", withDestinationPath: root)
            try files.linkItem(atPath: "\(root)/secret", toPath: "\(folder)/hardlink")
            #expect(mkfifo("\(folder)/fifo", 0o600) == 0)
            var entries = [("location", location)]
            if let offset { entries.append(("offset", offset)) }
            if let length { entries.append(("length", length)) }
            let path = "\(folder)/model.onnx"
            try Fixture.write(WireMessage.externalModel(entries), to: path)
            let error = loadError(path: path)
            #expect(error?.kind == (mention.isEmpty ? nil : .externalData), "\(error?.description ?? "loaded")")
            #expect(mention.isEmpty || error?.description.contains(mention) == true, "\(error?.description ?? "")")
            #expect(mention.isEmpty || error?.place.contains("'w'") == true)
        }
    }

    @Test func externalDataNeedAFolder() {
        #expect(loadError(WireMessage.externalModel([("location", "data")]))?.kind == .externalData)
    }
}

/// Protobuf's wire format, written by hand.
enum WireMessage {
    static func field(_ number: Int, _ payload: [UInt8]) -> [UInt8] {
        precondition(number < 16)
        return [UInt8(number << 3 | 2)] + varint(payload.count) + payload
    }

    static func varint(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128)] + varint(value >> 7)
    }

    /// One initializer w: float32 [2], all of whose data are where `entries` say.
    static func externalModel(_ entries: [(String, String)]) -> [UInt8] {
        let external = entries.flatMap { field(13, field(1, Array($0.0.utf8)) + field(2, Array($0.1.utf8))) }
        let tensor: [UInt8] = [8, 2, 16, 1] + field(8, Array("w".utf8)) + external + [14 << 3, 1]
        return field(7, field(5, tensor))
    }
}

/// Steele, Lea and Flood's SplitMix64 (2014), so that damaged files are the same in every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
