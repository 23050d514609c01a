import DPONNX
import Foundation
import Testing

@Suite struct TorchFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Every type, strides, shared storages and a state_dict inside a checkpoint, as NumPy has them.
    @Test func tensors() throws {
        let file = try WeightFile(path: Fixture.path("tensors.pt"))
        let expected = try ArrayFile(path: Fixture.path("tensors.npz"))
        #expect(file.names == expected.keys)
        for name in expected.keys {
            let (array, wanted) = (try file.array(name), try expected.array(name))
            #expect(array.shape == wanted.shape, "\(name)")
            #expect(array.type.rawValue == (name == "bfloat16" ? name : wanted.type.rawValue), "\(name)")
            #expect(array.floats() == wanted.floats(), "\(name)")
        }
    }

    /// A zip file with one stored entry, as `torch.save` writes it.
    private func archive(_ pickle: [UInt8], flags: UInt16 = 0, method: UInt16 = 0, checksum: UInt32? = nil) -> [UInt8] {
        func little(_ value: some FixedWidthInteger) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian) { Array($0) }
        }
        let name = Array("archive/data.pkl".utf8)
        var sum: UInt32 = 0xFFFF_FFFF
        for byte in pickle {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xEDB8_8320 : 0) }
        }
        let size = UInt32(pickle.count)
        let shared =
            little(UInt16(20)) + little(flags) + little(method) + little(UInt32(0)) + little(checksum ?? ~sum)
            + little(size) + little(size) + little(UInt16(name.count)) + little(UInt16(0))
        let local = little(UInt32(0x0403_4B50)) + shared + name + pickle
        let central =
            little(UInt32(0x0201_4B50)) + little(UInt16(20)) + shared + [UInt8](repeating: 0, count: 14) + name
        return local + central + little(UInt32(0x0605_4B50)) + little(UInt32(0)) + little(UInt16(1)) + little(UInt16(1))
            + little(UInt32(central.count)) + little(UInt32(local.count)) + little(UInt16(0))
    }

    private func failure(_ bytes: [UInt8]) throws -> String? {
        let path = folder.file("hostile.pt")
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        do {
            let file = try WeightFile(path: path)
            for name in file.names { _ = try file.array(name).floats() }
            return nil
        } catch {
            #expect([.malformed, .unsupported].contains(error.kind) && !error.description.contains("\n"))
            return error.message
        }
    }

    private func failure(pickle: String) throws -> String? { try failure(archive(Array(pickle.utf8))) }

    @Test func nothingIsExecuted() throws {
        let call = "cposix\nsystem\n(X\u{4}\0\0\0truetR."
        #expect(try failure(pickle: call)?.contains("'posix.system'") == true)
        #expect(try failure(pickle: "ctorch\nload\n.")?.contains("'torch.load'") == true)
        #expect(try failure(pickle: "cbuiltins\neval\n.")?.contains("not executed") == true)
    }

    @Test func badPickles() throws {
        #expect(try failure(pickle: "") != nil)
        #expect(try failure(pickle: ".") != nil)
        #expect(try failure(pickle: "N.")?.contains("no state_dict") == true)
        #expect(try failure(pickle: "}.")?.contains("no tensors") == true)
        #expect(try failure(pickle: "h\u{3}.") != nil)
        #expect(try failure(pickle: "u.") != nil)
        #expect(try failure(pickle: "(}(u.") != nil)
        #expect(try failure(pickle: "X\u{7F}\u{7F}\u{7F}\u{7F}a.")?.contains("too early") == true)
        #expect(try failure(pickle: ")" + String(repeating: "\u{1}", count: 3) + ".") != nil)
        // Tuples, lists that hold each other, and long chains of lists.
        #expect(
            try failure(archive([UInt8(ascii: ")")] + [UInt8](repeating: 0x85, count: 100_000)))?.contains("deep")
                == true)
        #expect(try failure(pickle: "]q\0h\0a.") != nil)
        #expect(
            try failure(pickle: String(repeating: "]", count: 200_000) + String(repeating: "a", count: 199_999) + ".")
                != nil)
    }

    @Test func badArchives() throws {
        let pickle = Array("}.".utf8)
        #expect(try failure(archive(pickle, flags: 1))?.contains("encrypted") == true)
        #expect(try failure(archive(pickle, method: 8)) != nil)
        #expect(try failure(archive(pickle, method: 12))?.contains("method 12") == true)
        #expect(try failure(archive(pickle, checksum: 1))?.contains("CRC") == true)
        let whole = try Data(contentsOf: URL(fileURLWithPath: Fixture.path("tensors.pt")))
        for length in stride(from: 0, to: whole.count, by: 97) {
            #expect(try failure(Array(whole.prefix(length))) != nil)
        }
        // Damage is told, or harms no tensor.
        for position in stride(from: 0, to: whole.count, by: 13) {
            var bytes = Array(whole)
            bytes[position] ^= 0x41
            _ = try failure(bytes)
        }
    }

    @Test func shards() throws {
        for (name, from) in [("a.pt", "tied-ts.pt"), ("b.pt", "packed-ts.pt")] {
            try FileManager.default.copyItem(atPath: Fixture.path(from), toPath: folder.file(name))
        }
        func open(_ map: String) throws -> WeightFile {
            let path = folder.file("pytorch_model.bin.index.json")
            try Data(#"{"metadata": {"total_size": 1}, "weight_map": \#(map)}"#.utf8).write(
                to: URL(fileURLWithPath: path))
            return try WeightFile(path: path)
        }
        let file = try open(#"{"norm.weight": "a.pt", "q": "b.pt", "k": "b.pt"}"#)
        #expect(file.names == ["norm.weight", "q", "k"])
        #expect(try file.array("q").shape == [4, 4])
        #expect(try file.bytes("norm.weight") == Fixture.weights("tied-ts").bytes("norm.weight"))
        for map in [
            #"{"q": "a.pt"}"#, #"{"q": "../b.pt"}"#, #"{"q": "/etc/passwd"}"#, #"{"q": 1}"#, "{}", "[]",
            #"{"q": "c.pt"}"#,
            #"{"q": "pytorch_model.bin.index.json"}"#,
        ] {
            #expect(throws: DataError.self) { try open(map) }
        }
    }
}
