import Testing

@testable import Training

@Suite struct DataHostileFileTests {
    private let scratch = ScratchFolder()

    private func readAll(_ path: String) throws {
        let file = try ArrayFile(path: path)
        for key in file.keys { _ = try file.array(key).doubles }
    }

    @Test func missingFilesAndFolders() {
        #expect(dataError { try readAll(scratch.path + "/none.npz") }?.kind == .missingInput)
        #expect(dataError { try readAll(scratch.path) }?.kind == .missingInput)
        #expect(dataError { try readAll("/dev/null") }?.kind == .unsupported)
        #expect(dataError { try readAll(scratch.write("a.npy", [])) }?.kind == .malformed)
    }

    private func npy(_ dictionary: String, data: Int = 0) -> [UInt8] {
        let length = UInt16(dictionary.utf8.count)
        return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 255), UInt8(length >> 8)] + Array(dictionary.utf8)
            + [UInt8](repeating: 0, count: data)
    }

    @Test(
        arguments: [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2), }",
            "{'descr': '<f4', 'fortran_order': 1, 'shape': (2,), }",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", "{'descr': '<f4", "{", "",
        ])
    func npyHeaders(dictionary: String) {
        #expect(dataError { try readAll(scratch.write("a.npy", npy(dictionary, data: 8))) }?.kind == .malformed)
    }

    @Test func npyLengths() {
        let sound = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", data: 8)
        #expect(throws: Never.self) { try readAll(scratch.write("a.npy", sound)) }
        for length in 1..<sound.count {
            #expect(dataError { try readAll(scratch.write("b.npy", Array(sound.prefix(length)))) }?.kind == .malformed)
        }
        #expect(dataError { try readAll(scratch.write("c.npy", sound + [0])) }?.kind == .malformed)
    }

    @Test(
        arguments: [
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#
                    + #","a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
                8
            ),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#
                    + #","b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                4
            ),
            (#"{"a":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,4]}}"#, 4),
            (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4),
            (#"{"a":{"dtype":"F32","shape":[1]}}"#, 4),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,99999999999999999999]}}"#, 4),
            (#"{"a":"# + String(repeating: #"{"a":"#, count: 5000), 0),
            (#"{"__metadata__":"# + String(repeating: "[", count: 5000), 0),
            ("{}", 0), ("", 0), (#"{"a\ud800":1}"#, 0),
        ])
    func safetensorsHeaders(header: String, data: Int) {
        var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) }
        bytes += Array(header.utf8) + [UInt8](repeating: 0, count: data)
        #expect(dataError { try readAll(scratch.write("a.safetensors", bytes)) }?.kind == .malformed)
    }

    @Test func safetensorsHeaderLength() {
        for length: UInt64 in [.max, 1 << 63, 100_000_001, 99] {
            let bytes = withUnsafeBytes(of: length.littleEndian) { Array($0) } + Array("{}".utf8)
            #expect(dataError { try readAll(scratch.write("a.safetensors", bytes)) }?.kind == .malformed)
        }
    }

    @Test func zipDamage() {
        let sound = contents(fixture("stored.npz"))
        var flipped = sound
        let data = sound.indices.first { sound[$0...].starts(with: [0, 0, 0x80, 0x3E]) }!  // 0.25 in x
        flipped[data] ^= 1
        #expect(dataError { try readAll(scratch.write("a.npz", flipped)) }?.message.contains("CRC-32") == true)
        for length in stride(from: 1, to: sound.count, by: 7) {
            #expect(dataError { try readAll(scratch.write("b.npz", Array(sound.prefix(length)))) }?.kind == .malformed)
        }
    }

    @Test func zipEntriesMustDiffer() throws {
        let path = scratch.path + "/a.npz"
        let arrays = ["a", "b"].map { ArrayFileWriter.Declaration(name: $0, type: .int64, shape: [1]) }
        var writer = try ArrayFileWriter(path: path, arrays: arrays)
        try writer.append([1 as Int64])
        try writer.append([2 as Int64])
        try writer.finish()
        var doubled = contents(path)
        for start in doubled.indices where doubled[start...].starts(with: Array("b.npy".utf8)) {
            doubled[start] = UInt8(ascii: "a")
        }
        let twice = dataError { try readAll(scratch.write("b.npz", doubled)) }
        #expect(twice?.message == "appears twice in the zip directory")
        // The second directory record points at the first entry's bytes and carries its name's length.
        var shared = contents(path)
        let records = shared.indices.filter { shared[$0...].starts(with: [0x50, 0x4B, 1, 2]) }
        shared.replaceSubrange(records[1] + 42..<records[1] + 46, with: [0, 0, 0, 0])
        shared[30] = UInt8(ascii: "b")
        shared[records[0] + 46] = UInt8(ascii: "b")
        let overlap = dataError { try readAll(scratch.write("c.npz", shared)) }
        #expect(overlap?.message == "has zip entries that overlap")
    }

    /// A deflated entry may not claim more than DEFLATE can produce, nor hold more or less than it claims.
    @Test func zipSizesAreNotBelieved() throws {
        let path = scratch.path + "/bomb.npz"
        var writer = try ArrayFileWriter(
            path: path, arrays: [.init(name: "a", type: .float32, shape: [1000])], compress: true)
        try writer.append([Float](repeating: 0, count: 1000))
        try writer.finish()
        let sound = contents(path)
        let directory = sound.indices.first { sound[$0...].starts(with: [0x50, 0x4B, 1, 2]) }!
        for size: UInt32 in [0xFFFF_FFF0, 4127, 4129, 0] {
            var changed = sound
            withUnsafeBytes(of: size.littleEndian) {
                changed.replaceSubrange(directory + 24..<directory + 28, with: $0)
            }
            #expect(dataError { try readAll(scratch.write("b.npz", changed)) }?.kind == .malformed)
        }
    }

    @Test func idxDamage() {
        let sound = contents(fixture("idx/t10k-images-idx3-ubyte"))
        for length in 1..<sound.count {
            let path = scratch.write("a-idx3-ubyte", Array(sound.prefix(length)))
            #expect(dataError { try readAll(path) }?.kind == .malformed)
        }
        var vast = sound
        for index in 4..<16 { vast[index] = 0xFF }
        #expect(dataError { try readAll(scratch.write("b-idx3-ubyte", vast)) }?.kind == .malformed)
        let compressed = contents(fixture("idx/train-images-idx3-ubyte.gz"))
        for length in 2..<compressed.count {
            let path = scratch.write("c-idx3-ubyte.gz", Array(compressed.prefix(length)))
            #expect(dataError { try readAll(path) }?.kind == .malformed)
        }
        #expect(dataError { try readAll(scratch.write("d-idx3-ubyte.gz", compressed + [1])) }?.kind == .malformed)
    }

    /// Random damage gives an error or other values, never a crash.
    @Test(arguments: [
        "grid_f4.npy", "stored.npz", "deflated.npz", "mixed.safetensors", "idx/train-images-idx3-ubyte.gz",
    ])
    func randomDamage(name: String) {
        let sound = contents(fixture(name))
        let file = name.replacing("idx/", with: "")
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func next(_ bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(bound))
        }
        var refused = 0
        for _ in 0..<400 {
            var bytes = sound
            for _ in 0...next(3) { bytes[next(bytes.count)] = UInt8(next(256)) }
            do { try readAll(scratch.write(file, bytes)) } catch { refused += 1 }
        }
        #expect(refused > 0)
    }
}
