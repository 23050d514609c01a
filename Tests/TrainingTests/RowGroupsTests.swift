import Testing

@testable import Training

/// Rows grouped into samples by the entries of an array.
@Suite struct RowGroupsTests {
    private let scratch = ScratchFolder()
    private let x: [DataSet.InputSlot] = [.init(name: "x", sampleShape: [2])]

    /// Integers, text of both of NumPy's kinds, and entries of several elements.
    @Test(arguments: ["id", "name", "code", "pair"]) func groupsStandInTheOrderOfTheirFirstRows(key: String) throws {
        let data = try DataSet(ArrayFile(path: fixture("users.npz")), inputs: x, groupKey: key)
        #expect(data.groups?.rows == [[0, 2], [1], [3]])
        #expect(data.sampleCount == 3 && data.count == 4 && data.rows(ofSample: 0) == [0, 2])
    }

    @Test func aColumnOfTextIsNoInput() throws {
        let text = "user,a,labels,b\nbo,1,0,2\n\"ada, x\",3,1,4\n bo ,5,0,6\n07,7,1,8\n7,9,1,10\n"
        let file = try ArrayFile(path: scratch.write("a.csv", text), textColumn: "user")
        let data = try DataSet(file, inputs: x, groupKey: "user")
        #expect(data["x"].doubles == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        #expect(data.groups?.rows == [[0, 2], [1], [3], [4]])
        #expect(try DataSet(file, inputs: x).groups == nil)
    }

    @Test func whatRowsCannotBeGroupedByIsNamed() throws {
        let file = try ArrayFile(path: fixture("users.npz"))
        func message(_ key: String) -> String? {
            dataError { _ = try DataSet(file, inputs: x, groupKey: key) }?.message
        }
        #expect(message("real")?.hasPrefix("is float64; rows are grouped by") == true)
        #expect(message("short")?.contains("has 4 rows where 'short', by which they are grouped, has 3") == true)
        #expect(message("user")?.hasPrefix("has no array 'user'") == true)
        let empty = scratch.write("a.csv", "user,x\nbo,1\n,2\n")
        #expect(dataError { _ = try ArrayFile(path: empty, textColumn: "user") }?.message.hasPrefix("is empty") == true)
    }

    @Test func shapesOfBatches() throws {
        let rows = NamedArray(name: "x", shape: [21], values: [Float](repeating: 0, count: 21))
        let users = [1, 2, 2, 3, 3, 3, 3] + [Int](repeating: 9, count: 9) + [5, 5, 5, 5, 5]
        let groups = try RowGroups(by: NamedArray(name: "user", shape: [21], values: users.map(Int64.init)))
        let data = try DataSet(arrays: [rows], groups: groups)
        let shapes = BatchShapes(data, rows: 20, isFixed: false)
        #expect(shapes.widths == [1, 2, 5, 9])
        #expect(shapes.width(rows: 4) == 5)
        #expect(shapes.largest(width: 9) == BatchShape(samples: 2, rowsPerSample: 9))
        #expect(shapes.shape(forSamples: 1, width: 5) == BatchShape(samples: 1, rowsPerSample: 5))
        #expect(shapes.shape(forSamples: 1, width: 1) == BatchShape(samples: 2, rowsPerSample: 1))
        let fixed = BatchShapes(data, rows: 12, isFixed: true)
        #expect(fixed.widths == [1, 2, 4, 6, 12])
        #expect(fixed.shape(forSamples: 1, width: 2) == BatchShape(samples: 6, rowsPerSample: 2))
        // Nine rows are more than any physical batch holds.
        let small = BatchShapes(data, rows: 8, isFixed: false)
        #expect(small.widths == [1, 2, 5] && small.width(rows: 5) == 5 && small.width(rows: 9) == nil)
    }
}
