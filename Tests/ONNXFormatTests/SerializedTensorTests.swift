import ONNXFormat
import Testing

/// A tensor that stands alone, as in the data of ONNX's tests.
@Suite struct SerializedTensorTests {
    /// dims [2], float32 1 and -2 in raw_data, named "w".
    private let bytes: [UInt8] = [8, 2, 16, 1, 0x42, 1, 0x77, 0x4A, 8, 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]

    private func error(_ bytes: [UInt8], named name: String = "x.pb") -> ONNXFormatError? {
        do {
            _ = try ONNXTensor(serialized: bytes, named: name)
            return nil
        } catch {
            return error
        }
    }

    @Test func elements() throws {
        let tensor = try ONNXTensor(serialized: bytes, named: "folder/x.pb")
        #expect(tensor.name == "folder/x.pb")
        #expect(tensor.elementType == .float32 && tensor.dimensions == [2])
        #expect(try tensor.floats() == [1, -2])
    }

    /// One int64 in a typed field, without dims: a scalar.
    @Test func typedFields() throws {
        let tensor = try ONNXTensor(serialized: [16, 7, 0x3A, 1, 42], named: "x")
        #expect(tensor.dimensions == [] && tensor.elementCount == 1)
        #expect(try tensor.int64s() == [42])
    }

    @Test func largerThanOneLengthByte() throws {
        let values = (0..<5000).map { UInt8($0 % 251) }
        let length: [UInt8] = [0x88, 0x27]  // 5000
        let tensor = try ONNXTensor(serialized: [8] + length + [16, 2, 0x4A] + length + values, named: "x")
        #expect(try tensor.bytes() == values)
    }

    /// Cut off inside a field, or with less data than type and shape need, it is no tensor.
    @Test func everyTruncationIsRefused() {
        for length in 0..<bytes.count {
            let error = error(Array(bytes[..<length]))
            #expect(error?.kind == .malformed, "\(length) bytes")
            #expect(error?.place == "x.pb" && error?.message.contains("\n") == false)
        }
    }

    @Test(
        arguments: [
            [0xFF], [8, 2, 16, 99], [8, 2, 16, 1, 0x4A, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0x0B],
            [0x4A, 0xFF, 0xFF, 0xFF, 0x7F],
            [8, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 16, 1],
        ] as [[UInt8]])
    func malformedBytes(_ bytes: [UInt8]) { #expect(error(bytes)?.kind == .malformed) }

    @Test func externalDataHaveNoFolder() {
        let entry = WireMessage.field(1, Array("location".utf8)) + WireMessage.field(2, Array("data".utf8))
        let bytes = [8, 2, 16, 1] + WireMessage.field(13, entry) + [14 << 3, 1]
        #expect(error(bytes)?.kind == .externalData)
    }

    @Test func anyChangedBytesAreReadOrRefused() {
        var generator = SplitMix(state: 11)
        var read = 0
        for _ in 0..<20_000 {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let index = Int.random(in: 0..<changed.count, using: &generator)
                changed[index] = UInt8.random(in: 0...255, using: &generator)
            }
            guard let tensor = try? ONNXTensor(serialized: changed, named: "x") else { continue }
            read += 1
            _ = try? (tensor.bytes(), tensor.doubles(), tensor.strings())
        }
        #expect(read > 0)
    }
}
