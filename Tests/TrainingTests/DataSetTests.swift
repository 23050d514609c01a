import Testing

@testable import Training

@Suite struct DataSetTests {
    private let scratch = ScratchFolder()

    @Test func bindsByNameAndGathers() throws {
        let file = try ArrayFile(path: fixture("stored.npz"))
        let data = try DataSet(file, inputs: [.init(name: "x", sampleShape: [3])])
        #expect(data.count == 4)
        #expect(data.keys == ["x", "labels"])
        #expect(data.targetKey == "labels")
        var batch = [Float](repeating: 0, count: 6)
        batch.withUnsafeMutableBufferPointer { data.gather(rows: [2, 0], key: "x", into: $0) }
        #expect(batch == [1.5, 1.75, 2, 0, 0.25, 0.5])
    }

    @Test func missingAndUnfittingArraysAreNamed() throws {
        let file = try ArrayFile(path: fixture("stored.npz"))
        let missing = dataError { _ = try DataSet(file, inputs: [.init(name: "pixels")]) }
        #expect(missing?.message == "has no array for input 'pixels'; it holds 'x', 'labels', 'short'")
        let target = dataError { _ = try DataSet(file, inputs: [.init(name: "x")], target: "y") }
        #expect(target?.message == "has no array 'y'; it holds 'x', 'labels', 'short'")
        let shape = dataError { _ = try DataSet(file, inputs: [.init(name: "x", sampleShape: [nil, 5])]) }
        #expect(shape?.message == "has shape [4, 3] where input 'x' needs [N, ?, 5]")
        let rows = dataError { _ = try DataSet(file, inputs: [.init(name: "x")], target: "short") }
        #expect(rows?.place.array == "short")
        #expect(rows?.message.hasPrefix("has 3 rows where array 'x' has 4") == true)
    }

    @Test func emptyAndScalarArraysAreRefused() {
        let empty = NamedArray(name: "x", shape: [0, 3], values: [Float]())
        #expect(dataError { _ = try DataSet(arrays: [empty]) }?.message == "has no rows")
        let scalar = NamedArray(name: "x", shape: [], values: [1 as Float])
        #expect(dataError { _ = try DataSet(arrays: [scalar]) }?.kind == .mismatch)
    }

    @Test func anNPYFileFeedsTheOnlyInput() throws {
        let file = try ArrayFile(path: fixture("grid_f4.npy"))
        let data = try DataSet(file, inputs: [.init(name: "tokens")], requiresTarget: false)
        #expect(data.keys == ["tokens"])
        #expect(data.targetKey == nil)
        #expect(dataError { _ = try DataSet(file, inputs: [.init(name: "tokens")]) }?.kind == .mismatch)
        let two: [DataSet.InputSlot] = [.init(name: "a"), .init(name: "b")]
        #expect(dataError { _ = try DataSet(file, inputs: two, requiresTarget: false) }?.kind == .mismatch)
    }

    @Test(arguments: [([8], [3, 8]), ([2, 4], [3, 2, 4]), ([1, nil, nil], [3, 1, 2, 4])] as [([Int?], [Int])])
    func idxImagesTakeTheInputsRank(sample: [Int?], shape: [Int]) throws {
        let data = try DataSet(ArrayFile(path: fixture("idx")), inputs: [.init(name: "input", sampleShape: sample)])
        #expect(data["input"].shape == shape)
        #expect(data["labels"].shape == [3])
    }

    @Test func idxImagesAreNotForcedIntoColour() throws {
        let file = try ArrayFile(path: fixture("idx"))
        let slot = DataSet.InputSlot(name: "input", sampleShape: [3, 2, 4])
        #expect(dataError { _ = try DataSet(file, inputs: [slot]) }?.kind == .mismatch)
    }

    @Test func csvColumnsLeftOverFeedTheOnlyInput() throws {
        let path = scratch.write("a.csv", "b,labels,a,c.1,c.0\n1,0,2,3,4\n5,1,6,7,8.5\n")
        let file = try ArrayFile(path: path)
        for requiresTarget in [true, false] {
            let data = try DataSet(
                file, inputs: [.init(name: "x", sampleShape: [4])], requiresTarget: requiresTarget)
            #expect(data["x"].shape == [2, 4])
            #expect(data["x"].doubles == [1, 2, 3, 4, 5, 6, 7, 8.5])
        }
        let grouped = try DataSet(file, inputs: [.init(name: "x")], groupKey: "b")
        #expect(grouped["x"].shape == [2, 3])
        #expect(grouped.groups?.rows == [[0], [1]])
        let named = try DataSet(
            file, inputs: [.init(name: "a", sampleShape: [1]), .init(name: "c", sampleShape: [2])])
        #expect(named["a"].shape == [2, 1])
        #expect(named["c"].doubles == [4, 3, 8.5, 7])
        let unknown: [DataSet.InputSlot] = [.init(name: "a"), .init(name: "z")]
        #expect(dataError { _ = try DataSet(file, inputs: unknown) }?.message.contains("input 'z'") == true)
    }
}
