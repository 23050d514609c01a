import Testing

@testable import Training

@Suite struct DataReadingTests {
    @Test(
        arguments: [
            ("f2", StoredType.float16), ("f4", .float32), ("f8", .float64), ("i1", .int8), ("i2", .int16),
            ("i4", .int32), ("i8", .int64), ("u1", .uint8), ("u2", .uint16), ("u4", .uint32), ("u8", .uint64),
        ])
    func everyTypeHoldsItsIndex(code: String, type: StoredType) throws {
        let array = try ArrayFile(path: fixture("grid_\(code).npy")).array(ArrayFile.anonymousKey)
        #expect(array.type == type)
        #expect(array.shape == [4, 3, 2])
        #expect(array.doubles == (0..<24).map(Double.init))
        #expect(array.floats([3, 0]) == (18..<24).map(Float.init) + (0..<6).map(Float.init))
        #expect(try array.integers([1]) == Array(6..<12))
    }

    @Test(arguments: ["fortran", "big_endian", "big_endian_fortran", "v2", "v3"])
    func layoutsAndVersionsAgree(name: String) throws {
        let array = try ArrayFile(path: fixture("grid_\(name).npy")).array(ArrayFile.anonymousKey)
        #expect(array.shape == [4, 3, 2])
        #expect(array.doubles == (0..<24).map(Double.init))
    }

    @Test func booleansBecomeZeroAndOne() throws {
        let array = try ArrayFile(path: fixture("flags.npy")).array(ArrayFile.anonymousKey)
        #expect(array.type == .bool)
        #expect(array.doubles == (0..<24).map { $0 % 3 == 0 ? 1 : 0 })
        var flags = [UInt8](repeating: 9, count: 6)
        try flags.withUnsafeMutableBufferPointer { try array.gather(rows: [1], into: $0) }
        #expect(flags == [1, 0, 0, 1, 0, 0])
    }

    @Test(arguments: ["objects", "complex", "fields"])
    func otherTypesAreRefused(name: String) {
        let error = dataError { _ = try ArrayFile(path: fixture("\(name).npy")) }
        #expect(error?.kind == .unsupported)
    }

    @Test(arguments: ["stored", "deflated"])
    func npz(name: String) throws {
        let file = try ArrayFile(path: fixture("\(name).npz"))
        #expect(file.keys == ["x", "labels", "short"])
        let x = try file.array("x")
        #expect(x.shape == [4, 3])
        #expect(x.doubles == (0..<12).map { Double($0) / 4 })
        #expect(try file.array("labels").integers([3, 1]) == [3, 1])
        let error = dataError { _ = try file.array("y") }
        #expect(error?.kind == .mismatch)
        #expect(error?.message == "has no array 'y'; it holds 'x', 'labels', 'short'")
    }

    @Test func safetensors() throws {
        let file = try ArrayFile(path: fixture("mixed.safetensors"))
        #expect(file.keys == ["x", "h", "b", "labels", "mask"])
        #expect(try file.array("x").doubles == (0..<8).map(Double.init))
        #expect(try file.array("h").doubles == [0, 1, 2, 3])
        #expect(try file.array("b").doubles == [-2, -1, 0, 1, 2, 3])
        #expect(try file.array("labels").integers([2]) == [2])
        #expect(try file.array("mask").doubles == [1, 0, 0, 1])
    }

    @Test(arguments: ["idx", "idx/train-images-idx3-ubyte.gz", "idx/t10k-images-idx3-ubyte"])
    func idxPixelsAreDividedBy255(path: String) throws {
        let file = try ArrayFile(path: fixture(path))
        #expect(file.keys == ["images", "labels"])
        let images = try file.array("images")
        #expect(images.shape == [3, 2, 4])
        #expect(images.floats([0, 1, 2]) == (0..<24).map { Float($0 * 10) / 255 })
        #expect(try file.array("labels").integers([0, 1, 2]) == [7, 0, 9])
    }

    @Test func fractionsAreNoIntegers() throws {
        let x = try ArrayFile(path: fixture("stored.npz")).array("x")
        let error = dataError { _ = try x.integers([0]) }
        #expect(error?.kind == .mismatch)
        #expect(error?.place.array == "x")
        #expect(error?.message == "row 0 holds 0.25 where an integer in range is needed")
        let tooLarge = NamedArray(name: "n", shape: [1], values: [UInt64.max])
        #expect(dataError { _ = try tooLarge.integers([0]) }?.place.array == "n")
    }

    @Test func csvColumnsAndFamilies() throws {
        let scratch = ScratchFolder()
        let text =
            "\u{FEFF}id,x.1,x.0,\"lab,els\",v[0],v[1],w.0,w.2\r\n1,2.5,-3e2,\"4\",5,6,7,8\r\n"
            + "9,0.125, 10 ,-11,12,13,14,15\r\n\r\n"
        let file = try ArrayFile(path: scratch.write("a.csv", text))
        #expect(file.keys == ["id", "x", "lab,els", "v", "w.0", "w.2"])
        #expect(try file.array("x").shape == [2, 2])
        #expect(try file.array("x").doubles == [-300, 2.5, 10, 0.125])
        #expect(try file.array("v").type == .int64)
        #expect(try file.array("v").doubles == [5, 6, 12, 13])
        #expect(try file.array("lab,els").integers([0, 1]) == [4, -11])
        #expect(try file.array("w.2").shape == [2])
    }

    @Test(
        arguments: [
            ("a,b\n1,\n", 2, "b"), ("a,b\n1,2\n3,nan\n", 3, "b"), ("a,b\n1,2\n0x1p3,4\n", 3, "a"),
            ("a,b\n1e999,2\n", 2, "a"), ("a,b\n1,2\n3\n", 3, nil), ("a,b\n1,2,3\n", 2, nil), ("1,2\n3,4\n", 1, nil),
            ("a,a\n1,2\n", 1, nil), ("a,\n1,2\n", 1, nil), ("a;b\n1;2\n", 1, nil), ("a,b\n\"1,2\n", 2, nil),
            ("a,b\n1,\"2\"3\n", 2, nil), ("a,b\n1,2\n\n3,4\n", 3, "a"),
        ] as [(String, Int, String?)])
    func csvErrorsNameLineAndColumn(text: String, line: Int, column: String?) {
        let scratch = ScratchFolder()
        let error = dataError { _ = try ArrayFile(path: scratch.write("a.csv", text)) }
        #expect(error?.kind == .malformed)
        #expect(error?.place.line == line)
        #expect(error?.place.column == column)
    }
}
